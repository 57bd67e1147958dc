from saliency.choice import Choice as Choice
from saliency.choice_options import ChoiceOptions as ChoiceOptions
from saliency.crop_image import Crop as Crop
from saliency.crop_image import crop as crop
from saliency.predictor import Predictor as Predictor
from saliency.window import Window as Window
from saliency.window import best_windows as best_windows

__version__: str
__all__ = ["Choice", "ChoiceOptions", "Crop", "Predictor", "Window", "best_windows", "crop"]
