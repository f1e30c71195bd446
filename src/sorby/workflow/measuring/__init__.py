"""Structures measured in images with a scale: needles, grains, inclusions, fracture mirrors."""
