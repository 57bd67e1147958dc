"""Eye-tracking data sets in one form, how they are split by image, and checks of them."""
