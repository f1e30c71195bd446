"""Does more regularisation help a fine-tuned network on few images?"""

from __future__ import annotations

from sorby.backbone.architecture import drops_patches
from sorby.errors import InputError
from sorby.workflow.experiments.ablations import COMMON, run_arms
from sorby.workflow.experiments.arms import Arm
from sorby.workflow.experiments.registry import Findings, Request, experiment

#: What each arm changes; ``default`` is Schmid et al.'s choice.
_DEFAULT = {
    "regime": "finetune",
    "augment": "fracture",
    "finetune.drop_path": 0.1,
    "finetune.randaugment_ops": 2,
    "finetune.randaugment_magnitude": 12,
}


@experiment(
    "regularisation",
    "Regularisation: stochastic depth, patches left out, augmentation",
    "S4-57",
    options=COMMON,
    slow=True,
    question=(
        "Does a fine-tuned network generalise better to new specimens when blocks or patches are left out more often"
        " in training, or images changed more?"
    ),
)
def regularisation(request: Request) -> Findings:
    """Compare stronger stochastic depth, patch dropout and augmentation with the default, and with none of them.

    Schmid et al. (section 3.1) found no gain from any of the three; they print no numbers. Slow: a network is trained
    for every arm and fold.
    """
    if request.recipe.regime != "finetune":
        raise InputError(
            "regularisation is asked of fine-tuned networks", "--recipe fracture-lite0, or --set regime=finetune"
        )
    patches = drops_patches(request.recipe.backbone.name)
    common = {**_DEFAULT, "finetune.patch_drop": 0.111} if patches else _DEFAULT
    arms = [
        Arm("default", f"drop path .1, RandAugment 2 of magnitude 12{', patch drop .111' if patches else ''}", common),
        Arm("none", "nothing left out, images as they are",
            {**common, "augment": "none", "finetune.drop_path": 0.0, "finetune.patch_drop": 0.0}),
        Arm("deeper drop", "drop path .3", {**common, "finetune.drop_path": 0.3}),
        Arm("stronger augmentation", "RandAugment 3 of magnitude 18",
            {**common, "finetune.randaugment_ops": 3, "finetune.randaugment_magnitude": 18}),
    ]  # fmt: skip
    if patches:
        arms.append(Arm("more patches left out", "patch drop .3", {**common, "finetune.patch_drop": 0.3}))
    may = ["What each kind of regularisation brings with this network, these epochs and this amount of data."]
    may_not = [
        "Anything on longer training: regularisation pays late, and all arms had the same epochs.",
        *([] if patches else ["Anything on patch dropout: this network has no patches; take a vision transformer."]),
    ]
    return run_arms(request, arms, "default", may, may_not)
