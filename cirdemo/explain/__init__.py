"""Heatmaps: where a picture carries its similarity to a text."""
