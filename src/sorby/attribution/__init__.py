"""Where a classifier looked, and whether that picture can be believed.

* `grad_cam` - Grad-CAM at any layer, convolutional or token (fine-tuned networks).
* `linear_contribution` - the exact share of every location in the score of a head that is linear in the mean
  and the standard deviation of one or several stages (frozen backbone + linear head).
* `occlusion` - gradient-free and class-specific; needs nothing but predictions.
* `randomisation_check` - a map that survives shuffled weights explains the image, not the model.
* `coverage`, `overlay` - how much of the image, how much of a marked cue; and the picture itself.

The numpy-only parts import without torch; the rest is loaded when first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sorby.attribution.display import UNIFORM_COLORMAPS, overlay
from sorby.attribution.extent import Coverage, coverage
from sorby.attribution.maps import Attribution, Contribution

if TYPE_CHECKING:
    from sorby.attribution.gradients import grad_cam, linear_contribution
    from sorby.attribution.perturbation import occlusion, occlusion_passes
    from sorby.attribution.sanity import randomisation_check
    from sorby.attribution.taps import LayerInfo, activations, last_conv_layer, layers, token_grid

__all__ = [
    "UNIFORM_COLORMAPS",
    "Attribution",
    "Contribution",
    "Coverage",
    "LayerInfo",
    "activations",
    "coverage",
    "grad_cam",
    "last_conv_layer",
    "layers",
    "linear_contribution",
    "occlusion",
    "occlusion_passes",
    "overlay",
    "randomisation_check",
    "token_grid",
]

_NEEDS_TORCH = {
    "LayerInfo": "taps",
    "activations": "taps",
    "last_conv_layer": "taps",
    "layers": "taps",
    "token_grid": "taps",
    "grad_cam": "gradients",
    "linear_contribution": "gradients",
    "occlusion": "perturbation",
    "occlusion_passes": "perturbation",
    "randomisation_check": "sanity",
}


def __getattr__(name: str) -> Any:
    if name not in _NEEDS_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_NEEDS_TORCH[name]}"), name)
