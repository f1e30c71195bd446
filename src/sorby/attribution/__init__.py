"""Where a classifier looked, and whether that picture can be believed.

* `grad_cam` - Grad-CAM at any layer, convolutional or token (fine-tuned networks).
* `linear_contribution` - the exact share of every location in the score of a head that is linear in the mean
  and the standard deviation of one or several stages (frozen backbone + linear head).
* `attention_rollout` - from which patches a vision transformer gathers, whatever the class.
* `occlusion` - gradient-free and class-specific; needs nothing but predictions.
* `randomisation_check` - a map that survives shuffled weights explains the image, not the model.
* `cue_match` - the pointing game and the mass inside cues that are known, as those of phantoms are.
* `coverage`, `overlay` - how much of the image, how much of a marked cue; and the picture itself.

The numpy-only parts import without torch; the rest is loaded when first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sorby.attribution.cues import FRACTURE_CUES, CueMatch, cue_masks, cue_match
from sorby.attribution.display import UNIFORM_COLORMAPS, overlay
from sorby.attribution.extent import Coverage, coverage
from sorby.attribution.maps import Attribution, Contribution

if TYPE_CHECKING:
    from sorby.attribution.gradients import grad_cam, linear_contribution
    from sorby.attribution.perturbation import occlusion, occlusion_passes
    from sorby.attribution.sanity import randomisation_check
    from sorby.attribution.taps import LayerInfo, activations, last_conv_layer, layers, token_grid
    from sorby.attribution.transformers import attention_rollout, token_network, token_reshape

__all__ = [
    "FRACTURE_CUES",
    "UNIFORM_COLORMAPS",
    "Attribution",
    "Contribution",
    "Coverage",
    "CueMatch",
    "LayerInfo",
    "activations",
    "attention_rollout",
    "coverage",
    "cue_masks",
    "cue_match",
    "grad_cam",
    "last_conv_layer",
    "layers",
    "linear_contribution",
    "occlusion",
    "occlusion_passes",
    "overlay",
    "randomisation_check",
    "token_grid",
    "token_network",
    "token_reshape",
]

_NEEDS_TORCH = {
    "LayerInfo": "taps",
    "activations": "taps",
    "last_conv_layer": "taps",
    "layers": "taps",
    "token_grid": "taps",
    "attention_rollout": "transformers",
    "token_network": "transformers",
    "token_reshape": "transformers",
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
