"""Predict where people look in a photo, and crop photos by it, fast on a plain CPU.

    from saliency import Predictor, best_windows, crop

    crop("photo.jpg", "16:9").image.save("wide.jpg")
    density = Predictor().density(photo)
    windows = best_windows(density, ["1:1", "16:9"], photo_size=(width, height))

Importing the package loads nothing: a public name is fetched from its module when it is first
used. `__init__.pyi` beside this file declares the same for type checkers.
"""

from importlib import import_module

__version__ = "0.1.0"
__all__ = ["Choice", "ChoiceOptions", "Crop", "Predictor", "Window", "best_windows", "crop"]

_HOMES = {
    "Choice": "saliency.crop_windows.choice",
    "ChoiceOptions": "saliency.crop_windows.options",
    "Crop": "saliency.cropping.crop",
    "Predictor": "saliency.prediction.predictor",
    "Window": "saliency.crop_windows.best_windows",
    "best_windows": "saliency.crop_windows.best_windows",
    "crop": "saliency.cropping.crop",
}


def __getattr__(name: str) -> object:
    """Fetch a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names, those not fetched yet among them."""
    return sorted({*globals(), *__all__})
