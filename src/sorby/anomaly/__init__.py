"""Finding what good images do not show: PaDiM and its relatives, thresholds from good images alone, findings.

A detector is a backbone's patch maps (`embedding`), what is remembered of good images (`memory`), the graph of
distances (`mahalanobis_maps`, `memory_bank`), its smoothing and a threshold. Everything up to the map is one graph.
"""

from sorby.bundle import register_loader

KIND = "anomaly"
"""Kind of the bundles that hold a detector."""

register_loader(KIND, "sorby.anomaly.detector_bundle:load_bundle")
