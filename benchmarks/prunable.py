"""How many networks the pruning engine can prune, and how much of each.

    python benchmarks/prunable.py --out DIR                      torchvision's and timm's networks
    python benchmarks/prunable.py --out DIR --only resnet18 vgg11

Each network has random weights. A third of every group of channels is removed, and what the pruned
network gives is compared with what the whole one gives with these channels gated to zero. Each
runs in a process of its own; what is in DIR already is not computed again.

ok: the same, up to the order of sums. kept: nothing could be pruned, and a reason was given.
wrong, crash, slow: what must not be. `parameters`: share of the network's parameters in layers that
lose channels. `seconds`: to find the groups and remove once.
"""

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

TIMM_FAMILIES = (
    *("convnext_atto", "cspresnet50", "darknet53", "densenet121", "dla34", "dpn48b"),
    *("edgenext_xx_small", "efficientnet_b0", "efficientvit_b0", "fasternet_t0"),
    *("fastvit_t8", "gernet_s", "ghostnet_050", "hardcorenas_a", "hgnet_tiny"),
    *("hrnet_w18_small", "inception_next_atto", "inception_resnet_v2", "inception_v3"),
    *("inception_v4", "lcnet_050", "legacy_seresnet18", "mixnet_s", "mnasnet_100"),
    *("mobilenetv2_100", "mobilenetv3_small_100", "mobilenetv4_conv_small"),
    *("mobileone_s0", "nasnetalarge", "nf_resnet50", "nfnet_f0", "pnasnet5large"),
    *("regnetx_002", "regnety_002", "repghostnet_050", "repvgg_a0", "repvit_m0_9"),
    *("res2net50_26w_4s", "resnest14d", "resnet18", "resnet50_gn", "resnetv2_50"),
    *("resnetv2_50x1_bit", "resnext50_32x4d", "rexnet_100", "selecsls42", "seresnet50"),
    *("shufflenet_v2_x1_0", "sknet18", "skresnet18", "spnasnet_100", "starnet_s1"),
    *("tf_mixnet_s", "tinynet_e", "tresnet_m", "vgg11", "vovnet39a", "xception41"),
    *("ecaresnet50d", "lambda_resnet26t", "vit_tiny_patch16_224"),
    *("swin_tiny_patch4_window7_224", "maxvit_rmlp_pico_rw_256"),
)
"""One network of each family of timm."""

SUMS_REORDERED = 1e-3  # of the largest output
SLOW_SECONDS = 240


def check(name: str) -> dict[str, Any]:
    """Return how the pruning of a network went, in this process."""
    import torch  # noqa: PLC0415  for the process of a network only

    from saliency.errors import PruningError  # noqa: PLC0415
    from saliency.pruning.gates import gated, ones  # noqa: PLC0415
    from saliency.pruning.groups import find_groups  # noqa: PLC0415
    from saliency.pruning.surgery import remove_channels  # noqa: PLC0415

    torch.manual_seed(0)
    torch.set_num_threads(1)
    model, photo = create(name)
    start = time.perf_counter()
    try:
        groups = find_groups(model, photo)
    except PruningError as error:
        return {"verdict": "kept", "reason": str(error)}
    removals = {g.name: list(range(0, g.size, 3))[: g.size - 1] for g in groups.prunable}
    pruned = remove_channels(model, groups, removals)
    seconds = time.perf_counter() - start
    gates = {key: gate.detach() for key, gate in ones(groups).items()}
    for key, removed in removals.items():
        gates[key][removed] = 0.0
    with torch.no_grad():
        with gated(model, groups, gates):
            closed = tensors(model(photo))
        made = tensors(pruned(photo))
    largest = max(float(one.abs().max()) for one in closed)
    error = max(float((a - b).abs().max()) for a, b in zip(closed, made, strict=True))
    count = sum(parameter.numel() for parameter in model.parameters())
    touched = {part.layer for group in groups.prunable for part in group.slices}
    inside = sum(
        parameter.numel()
        for key, parameter in model.named_parameters()
        if key.rpartition(".")[0] in touched
    )
    return {
        "verdict": "ok" if error <= SUMS_REORDERED * largest else "wrong",
        "error": error / largest if largest else error,
        "parameters": inside / count,
        "seconds": round(seconds, 1),
    }


def create(name: str) -> tuple[Any, Any]:
    """Return a network with random weights and moved statistics, and a photo for it."""
    import torch  # noqa: PLC0415  as above

    library, _, model = name.partition(":")
    size = (3, 224, 224)
    if library == "timm":
        import timm  # noqa: PLC0415

        network = timm.create_model(model, pretrained=False)
        size = network.pretrained_cfg["input_size"]
    else:
        from torchvision.models import get_model  # noqa: PLC0415

        network = get_model(model, weights=None)
        size = (3, 299, 299) if model == "inception_v3" else size
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.uniform_(layer.bias, -0.2, 0.2)
    return network.eval(), torch.rand(1, *size)


def tensors(value: Any) -> list[Any]:
    """Return the tensors in what a network returns."""
    from saliency.pruning.latency.exporting import nested_tensors  # noqa: PLC0415  as above

    return list(nested_tensors(value))


def run(name: str, out: Path) -> dict[str, Any]:
    """Return how the pruning of a network went, from DIR or in a process of its own."""
    kept = out / f"{name.replace(':', '-')}.json"
    if not kept.exists():
        command = [sys.executable, __file__, "--out", str(out), "--one", name]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=SLOW_SECONDS
            )
            lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
            found = (
                json.loads(done.stdout.splitlines()[-1])
                if done.returncode == 0
                else {"verdict": "crash", "reason": lines[-1]}
            )
        except subprocess.TimeoutExpired:
            found = {"verdict": "slow", "reason": f"more than {SLOW_SECONDS} seconds"}
        kept.write_text(json.dumps(found))
    stored: dict[str, Any] = json.loads(kept.read_text())
    return stored


def names() -> list[str]:
    """Return torchvision's networks that classify photos, and one of each family of timm."""
    import timm  # noqa: PLC0415  for this list only
    from torchvision import models  # noqa: PLC0415

    known = set(timm.list_models())
    return [f"torchvision:{one}" for one in models.list_models(module=models)] + [
        f"timm:{one}" for one in TIMM_FAMILIES if one in known
    ]


def main() -> None:
    """Check the networks and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="for all results")
    parser.add_argument("--only", nargs="+", help="parts of names")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.one:
        print(json.dumps(check(arguments.one)))
        return
    chosen = [
        one for one in names() if not arguments.only or any(part in one for part in arguments.only)
    ]
    results = {}
    for name in chosen:
        results[name] = found = run(name, arguments.out)
        shown = ", ".join(f"{key} {value}" for key, value in found.items())
        print(f"{name}: {shown}", flush=True)
    for library in ("torchvision", "timm"):
        some = [found for name, found in results.items() if name.startswith(library)]
        if some:
            shares = [found["parameters"] for found in some if "parameters" in found]
            print(library, dict(Counter(found["verdict"] for found in some)), end=" ")
            print(f"median share of parameters {median(shares):.3f}" if shares else "")


if __name__ == "__main__":
    main()
