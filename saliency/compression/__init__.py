"""A saliency model made small: pruned, fine-tuned, compared and reported."""
