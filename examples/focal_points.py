"""Windows for a static site and image proxies: a data file, and a page that CSS crops.

python examples/focal_points.py data/photos site

Writes site/crops.json (for the data folder of Hugo, Eleventy or Jekyll) and site/index.html.
"""

import argparse
import json
from html import escape
from pathlib import Path

from PIL import Image

from saliency import Predictor, crop
from saliency.cropping.focal_point import service_values


def imgproxy_address(base: str, photo: str, values: dict, width: int, height: int) -> str:
    """Return the address at which imgproxy crops a photo around the focal point."""
    return f"{base}/insecure/rs:fill:{width}:{height}/{values['imgproxy']}/plain/{photo}"


def thumbor_address(base: str, photo: str, values: dict, width: int, height: int) -> str:
    """Return the address at which thumbor cuts the window out of a photo."""
    return f"{base}/unsafe/{values['thumbor']}/{width}x{height}/{photo}"


def main() -> None:
    """Write the data file and the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("site", type=Path)
    arguments = parser.parse_args()
    predictor = Predictor()
    crops, figures = {}, []
    for path in sorted(arguments.photos.glob("*.jpg")):
        window = crop(path, "1:1", predictor=predictor).choice.window
        with Image.open(path) as photo:
            crops[path.name] = service_values(window, photo.size)
        style = f"object-fit:cover; aspect-ratio:1/1; width:20rem; {crops[path.name]['css']}"
        figures.append(f'<img src="{escape(path.name)}" alt="" style="{style}">')
    arguments.site.mkdir(parents=True, exist_ok=True)
    (arguments.site / "crops.json").write_text(json.dumps(crops, indent=2))
    (arguments.site / "index.html").write_text("\n".join(["<!doctype html>", *figures]))


if __name__ == "__main__":
    main()
