"""Finding defects of few examples: Faster R-CNN with a feature pyramid, taught in two stages.

A base detector learns on many labelled boxes what a defect is and where its borders are; a new predictor behind its
frozen stages learns the user's classes from a handful of boxes (Wang et al. 2020, used by Yan et al. 2023).

References
----------
S. Ren, K. He, R. Girshick, J. Sun. Faster R-CNN. NeurIPS 2015.
T.-Y. Lin et al. Feature pyramid networks for object detection. CVPR 2017.
X. Wang, T. Huang, J. Gonzalez, T. Darrell, F. Yu. Frustratingly simple few-shot object detection. ICML 2020.
"""

from sorby.bundle import register_graph_maker, register_loader

KIND = "boxes"
"""Kind of the bundles that hold a box detector."""

register_loader(KIND, "sorby.detect.detector_bundle:load_bundle")
register_graph_maker(KIND, "sorby.detect.graph:graph_of_bundle")
