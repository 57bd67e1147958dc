"""Crops over HTTP: requests, limits, metrics, and the page for people."""
