"""Penalties and norms of any network's parameters that follow from the Fisher information."""
