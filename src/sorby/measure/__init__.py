"""Measuring structures in micrographs with a scale: needle length, grain size, inclusion area."""
