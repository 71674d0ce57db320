"""Painting of the drawn worlds with Pillow and NumPy, deterministic from a seed."""
