"""What a photo file holds beside its pixels, and what of it is true of a crop."""
