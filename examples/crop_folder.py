"""Crop every photo of a folder to several ratios, and print where each crop is.

python examples/crop_folder.py data/photos crops
"""

import argparse
from pathlib import Path

from saliency import Predictor, crop
from saliency.errors import PhotoError

RATIOS = ("1:1", "16:9")
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def main() -> None:
    """Crop the photos of the folder that is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("crops", type=Path)
    arguments = parser.parse_args()
    arguments.crops.mkdir(parents=True, exist_ok=True)
    predictor = Predictor()  # loaded once for all photos
    for path in sorted(arguments.photos.iterdir()):
        if path.suffix.lower() not in SUFFIXES:
            continue
        for ratio in RATIOS:
            try:
                done = crop(path, ratio, predictor=predictor)
            except PhotoError as error:
                print(f"skipped: {error}")
                break
            target = arguments.crops / f"{path.stem}-{ratio.replace(':', 'x')}.png"
            done.image.save(target)
            window = done.choice.window
            print(f"{target}  {window.width}x{window.height}+{window.x}+{window.y}")


if __name__ == "__main__":
    main()
