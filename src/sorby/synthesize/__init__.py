"""Generated images: recipes, generators taught from few originals, and what their images descend from.

>>> from sorby.synthesize import load_recipe
>>> load_recipe("small-data").needs_parents
False
"""

from sorby.bundle import register_loader
from sorby.synthesize.generator_model import Generator, Samples
from sorby.synthesize.optical_flow import TemporalConsistency, temporal_consistency
from sorby.synthesize.originals import as_original
from sorby.synthesize.recipe import KIND, SynthesisRecipe, load_recipe, recipe_names
from sorby.synthesize.training import Taught, teach
from sorby.synthesize.windows import windows

__all__ = [
    "KIND",
    "Generator",
    "Samples",
    "SynthesisRecipe",
    "Taught",
    "TemporalConsistency",
    "as_original",
    "load_recipe",
    "recipe_names",
    "teach",
    "temporal_consistency",
    "windows",
]

register_loader(KIND, "sorby.synthesize.generator_model:load_bundle")
