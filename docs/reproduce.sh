#!/usr/bin/env bash
# Makes the three models that ship, from the data sets on. Run it again after a stop: every run goes
# on where it was, and what is finished is passed over.
#   bash docs/reproduce.sh OSIE EYECROWD MIT1003 PHOTOS RUNS
# OSIE, EYECROWD and MIT1003 are the data sets, PHOTOS is a folder of any photos (here 2,503, see
# reproduce.md), RUNS the folder for the runs. On one core, with OMP_NUM_THREADS=1, it takes about
# six hours.
set -euo pipefail
osie=$1 eyecrowd=$2 mit1003=$3 photos=$4 runs=$5
# EyeCrowd has the form of OSIE.
data=(--data "osie:$osie" --data "osie:$eyecrowd" --data "fixatons:$mit1003")
mkdir -p "$runs"

# run NAME COMMAND...: a run in $runs/NAME, resumed if it was begun, passed over if it has ended.
run() {
  local name=$1 out=$runs/$1
  shift
  [[ -f $out/ended ]] && return
  if [[ -f $out/options.json ]]; then
    saliency "$1" --out "$out" --resume
  else
    saliency "$@" --out "$out"
  fi
  touch "$out/ended"
}

# The teacher, which is `best`: each set has a center bias of its own.
run teacher train "${data[@]}" --backbone tf_efficientnet_lite2 --input-pixels 147456 \
  --weights package --set-bias own --epochs 7
taught=("${data[@]}" --photos "$photos" --set-bias own
  --teacher "$runs/teacher/model.safetensors" --teacher-weight 0.5)
again=(--feature-weight 0 --batch-size 8 --backbone-rate 0.0004 --readout-rate 0.001)
pruned=(--engine onnxruntime-int8 --threads 1 --size 224x288 --variants 1 --epochs 1)

# `default`: the teacher with a smaller input and fewer channels, then distillation.
run pruned prune "$runs/teacher/model.safetensors" "${taught[@]}" "${pruned[@]}" \
  --input-pixels 64313 --speedup 5.5
run default train --start "$runs/pruned/model.safetensors" "${taught[@]}" "${again[@]}" \
  --variants 3 --epochs 16 --patience 16

# `fast`: a still smaller input, and fewer channels again.
run pruned-2 prune "$runs/default/model.safetensors" "${taught[@]}" "${pruned[@]}" \
  --table "$runs/pruned/latency.json" --input-pixels 35840 --speedup 2.7 --time-share 0.02
run fast train --start "$runs/pruned-2/model.safetensors" "${taught[@]}" "${again[@]}" \
  --variants 2 --epochs 26 --patience 26

# ship NAME RUN IMAGES HOW...: the two files of a model, HOW its weights are exported. First its
# density is calibrated (where that helps; else it stays), then the confidence of its windows.
ship() {
  local name=$1 from=$2 images=$3 weights="$runs/$1.safetensors"
  shift 3
  saliency export "$runs/$from/model.safetensors" --out "$weights" --overwrite "$@"
  saliency calibrate "$weights" "${data[@]}" || true
  saliency export "$weights" --out "$runs/$name.onnx" --overwrite --int8 "$photos"
  saliency calibrate "$runs/$name.onnx" "${data[@]}"
  saliency inspect "$weights" "${data[@]}" --images "$images" --save-fisher
}
ship best teacher 160 --half
ship default default 512
ship fast fast 512 --half
