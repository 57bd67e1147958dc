"""Train a model on your own photos and fixations, and report how well it predicts new ones.

    python examples/train_own_data.py my-data my-run

`my-data` is in the form `folder:` (docs/data.md): images/ and fixations.csv. Further arguments are
passed on to `saliency train`, such as `--epochs 5`.
"""

import sys
from pathlib import Path

from saliency.commands import data, evaluate, train


def main(arguments: list[str]) -> int:
    """Check the data, train on them, and score the model on the images kept out."""
    if len(arguments) < 2:
        print(__doc__)
        return 2
    folder, run, *options = arguments
    source = f"folder:{folder}"
    steps = (
        (data.main, ["check", source, "--sheet", f"{run}-sheet.jpg", "--overwrite"]),
        (train.main, ["--data", source, "--out", run, *options]),
        (evaluate.main, [str(Path(run) / "model.onnx"), "--data", source]),
    )
    for step, words in steps:
        status = step(words)
        if status != 0:
            return status
    print(f"crop with it: saliency crop photo.jpg --model {run}/model.onnx")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
