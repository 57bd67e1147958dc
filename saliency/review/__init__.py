"""A page on which a person sees crops and corrects them."""
