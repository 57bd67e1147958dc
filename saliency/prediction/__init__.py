"""A model file in, the density of fixations on a photo out."""
