"""Crop windows from a density, boxes and other wishes; pure arithmetic."""
