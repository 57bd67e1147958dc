#!/usr/bin/env bash
# Makes the three models that ship, from the data sets on. Run it again after a stop: every run goes
# on where it was, and what is finished is passed over.
#   bash docs/reproduce.sh OSIE EYECROWD MIT1003 PHOTOS RUNS
# OSIE, EYECROWD and MIT1003 are the data sets, PHOTOS is a folder of any photos (here 1,000 of the
# ImageNet classes), RUNS the folder for the runs. On two cores, with OMP_NUM_THREADS=1 and two runs
# side by side, it takes about three and a half hours.
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

# The teacher, which is `best`, and the network to prune: each set has a bias of its own.
run teacher train "${data[@]}" --backbone tf_efficientnet_lite2 --input-pixels 147456 \
  --weights package --set-bias own --epochs 7
run unpruned train "${data[@]}" --weights package --set-bias own --epochs 8

# `default`: a smaller input and fewer channels, then distillation.
run pruned prune "$runs/unpruned/model.safetensors" "${data[@]}" --input-pixels 64313 \
  --speedup 4.3 --epochs 1 --set-bias own
taught=(--teacher "$runs/teacher/model.safetensors" --teacher-weight 0.5 --feature-weight 0
  --batch-size 8 --backbone-rate 0.0004 --readout-rate 0.001 --set-bias own)
run small train --start "$runs/pruned/model.safetensors" "${data[@]}" "${taught[@]}" --variants 3 \
  --epochs 10 --patience 10
run small-2 train --start "$runs/small/model.safetensors" "${data[@]}" "${taught[@]}" \
  --examples "$runs/small/examples" --variants 6 --epochs 12 --patience 12

run small-3 train --start "$runs/small-2/model.safetensors" "${data[@]}" "${taught[@]}" \
  --photos "$photos" --variants 4 --epochs 16 --patience 16

# `fast`: a still smaller input.
run fast prune "$runs/pruned/model.safetensors" "${data[@]}" --input-pixels 35840 --speedup 2.25 \
  --steps 20 --teacher "$runs/teacher/model.safetensors" --teacher-weight 0.5 --variants 2 \
  --epochs 8 --set-bias own
run fast-2 train --start "$runs/fast/model.safetensors" "${data[@]}" "${taught[@]}" \
  --photos "$photos" --variants 4 --epochs 16 --patience 16

# ship NAME RUN IMAGES HOW...: the two files of a model, HOW the .onnx file is exported. First its
# density is calibrated, then the confidence of its windows.
ship() {
  local name=$1 from=$2 images=$3 weights="$runs/$1.safetensors"
  shift 3
  local half=()
  [[ $name == default ]] || half=(--half)
  saliency export "$runs/$from/model.safetensors" --out "$weights" --overwrite "${half[@]}"
  saliency calibrate "$weights" "${data[@]}"
  saliency export "$weights" --out "$runs/$name.onnx" --overwrite "$@"
  saliency calibrate "$runs/$name.onnx" "${data[@]}"
  saliency inspect "$weights" "${data[@]}" --images "$images" --save-fisher
}
ship best teacher 160 --int8 "$photos"
ship default small-3 512
ship fast fast-2 512 --half
