"""Cutting channels out of any convolutional network; nothing here knows about saliency."""
