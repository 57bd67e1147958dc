"""One module for each published layout of eye-tracking data."""
