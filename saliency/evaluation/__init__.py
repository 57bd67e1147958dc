"""Metrics of saliency, the ceiling that observers set, and scoring of models."""
