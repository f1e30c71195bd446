"""Finding what good images do not show: PaDiM and its relatives, thresholds from good images alone, findings.

A detector is a backbone's patch maps (`embedding`), what is remembered of good images (`memory`), the graph of
distances (`mahalanobis_maps`, `memory_bank`), its smoothing and a threshold. Everything up to the map is one graph.
"""

KIND = "anomaly"
"""Kind of the bundles that hold a detector."""
