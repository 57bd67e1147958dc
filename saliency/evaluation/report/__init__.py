"""Scores as a table, as figures and as one HTML page."""
