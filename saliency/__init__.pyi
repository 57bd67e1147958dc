from saliency.crop_windows.best_windows import best_windows as best_windows
from saliency.crop_windows.choice import Choice as Choice
from saliency.crop_windows.options import ChoiceOptions as ChoiceOptions
from saliency.cropping.crop import Crop as Crop
from saliency.cropping.crop import crop as crop
from saliency.geometry import Window as Window
from saliency.prediction.predictor import Predictor as Predictor

__version__: str
__all__ = ["Choice", "ChoiceOptions", "Crop", "Predictor", "Window", "best_windows", "crop"]
