"""Removing channels from any convolutional network; nothing here depends on saliency."""
