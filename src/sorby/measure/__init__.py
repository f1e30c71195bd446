"""Measuring structures in micrographs with a scale: needle length, grain size, inclusion area."""

from sorby.bundle import register_loader

SEGMENTER_KIND = "boundary-segmenter"
"""Bundles of a segmenter taught from masks."""

register_loader(SEGMENTER_KIND, "sorby.measure.segmenter:load_bundle")
