"""The channels of layers: which belong together, how they are cut, and whether that works."""
