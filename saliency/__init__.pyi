from saliency.predictor import Predictor as Predictor
from saliency.window import Window as Window
from saliency.window import best_windows as best_windows

__version__: str
__all__ = ["Predictor", "Window", "best_windows"]
