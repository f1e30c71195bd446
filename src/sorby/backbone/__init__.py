"""Backbones: architectures by name, pretrained weights by a stated search order, features on two runtimes."""

from sorby.backbone.architecture import Backbone, StageFeatures, load
from sorby.backbone.features import Extracted, FeatureExtractor
from sorby.backbone.preprocessing import Preprocessing

__all__ = ["Backbone", "Extracted", "FeatureExtractor", "Preprocessing", "StageFeatures", "load"]
