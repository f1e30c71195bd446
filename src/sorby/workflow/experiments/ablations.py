"""Ablations whose arms are settings of a recipe: size strategy, imbalance, regime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sorby.workflow.experiments.arms import Arm
from sorby.workflow.experiments.bench import Bench, open_bench
from sorby.workflow.experiments.comparing import (
    MAY_NOT,
    METHOD,
    Compared,
    compare_arms,
    confusion_of,
    figures_of_arms,
    sentences_of_arms,
    table_of_arms,
)
from sorby.workflow.experiments.registry import Findings, Request, experiment
from sorby.workflow.experiments.tiles import averaged_tiles, voted_tiles

#: Options that every comparison of arms has.
COMMON: dict[str, Any] = {"folds": None, "min_count": 20}


def comparison(
    bench: Bench, arms: Sequence[Arm], compared: Compared, folds: int, may: Sequence[str], may_not: Sequence[str] = ()
) -> Findings:
    """Return the findings of a comparison of arms."""
    reference = compared.reference
    confusion = {
        name: confusion_of(bench.labels, found, len(bench.classes)) for name, found in compared.probabilities.items()
    }
    return Findings(
        table=compared.rows,
        answers=sentences_of_arms(compared.rows, reference),
        tables=[table_of_arms(compared.rows, reference)],
        figures=figures_of_arms(compared.rows, reference),
        may=may,
        may_not=[*MAY_NOT, *may_not],
        data=[*bench.described(), f"{folds}-fold cross-validation, the same folds for every arm", *METHOD],
        arms=[(arm.name, arm.meaning) for arm in arms],
        warnings=bench.warnings,
        quarantined=bench.quarantined,
        extra={"reference": reference, "classes": list(bench.classes), "confusion": confusion, "folds": folds},
    )


def run_arms(
    request: Request, arms: Sequence[Arm], reference: str, may: Sequence[str], may_not: Sequence[str] = ()
) -> Findings:
    """Open the bench and compare arms on it."""
    bench = open_bench(request)
    folds = bench.folds(request.options["folds"])
    compared = compare_arms(bench, arms, folds, reference)
    return comparison(bench, arms, compared, int(folds.max()) + 1, may, may_not)


@experiment(
    "size-strategy",
    "Size strategy: tiles, resizing or mirror padding",
    "S1-21",
    options=COMMON,
    question=(
        "How should micrographs of different size reach the network: cut into tiles whose verdicts are put "
        "together, resized to the mean size, or mirror-padded and cropped to the most frequent size?"
    ),
)
def size_strategy(request: Request) -> Findings:
    """Compare tiles, resizing and mirror padding.

    Durmaz et al. found the last one best, since it keeps the scale of the structure, and tiles worse, since a
    heterogeneous micrograph makes its tiles' labels noisy.
    """
    arms = [
        Arm("mirror to mode", "mirror-padded or cropped to the most frequent size (S1-18)", {"image.sizing": "mode"}),
        Arm("resize to mean", "resized to the mean size of the corpus (S1-19)", {"image.sizing": "mean"}),
        Arm("tiles, voted", "tiles classified singly, probabilities averaged over the image (S1-20)", make=voted_tiles),
        Arm("tiles, averaged", "features averaged over the tiles, the image classified once", make=averaged_tiles),
        Arm("resize to input", "resized to image.height x image.width of the recipe"),
    ]
    bench = open_bench(request)
    sizes = {(int(h), int(w)) for h, w in zip(bench.corpus.table["height"], bench.corpus.table["width"], strict=True)}
    may_not = []
    if len(sizes) == 1:
        height, width = next(iter(sizes))
        line = f"every image is {height} x {width} px: resize to mean is mirror to mode here and is left out"
        bench.warnings.append(line)
        arms = [arm for arm in arms if arm.name != "resize to mean"]
        may_not.append("Which of mirror padding and resizing to the mean is better: all images have one size.")
    folds = bench.folds(request.options["folds"])
    compared = compare_arms(bench, arms, folds)
    may = ["Which way of sizing serves the frozen regime on these images, and by how much."]
    return comparison(bench, arms, compared, int(folds.max()) + 1, may, may_not)


@experiment(
    "imbalance",
    "Unequal classes: nothing, oversampling or class weights",
    "S1-25",
    options=COMMON,
    question=("Does it help rare classes to repeat their images (oversampling) or to weigh them more in the loss?"),
)
def imbalance(request: Request) -> Findings:
    """Compare nothing, oversampling and class weights.

    Durmaz et al. oversampled and found it slightly better than class weights.
    """
    arms = [
        Arm("none", "every image counts once", {"balance.sampling": "plain", "balance.loss": "plain"}),
        Arm("oversample", "rare classes repeated until all are as frequent (S1-23)",
            {"balance.sampling": "oversample", "balance.loss": "plain"}),
        Arm("class weights", "cross-entropy weighted by inverse class frequency (S1-24)",
            {"balance.sampling": "plain", "balance.loss": "class-weights"}),
    ]  # fmt: skip
    may = ["What correcting the imbalance costs in accuracy and brings in balanced accuracy and macro-F1 here."]
    may_not = [
        "Anything on fine-tuning: with a linear head, oversampling and class weights are nearly the same sum.",
    ]
    return run_arms(request, arms, "none", may, may_not)


@experiment(
    "regime",
    "Frozen features or the whole network fine-tuned",
    "S1-28",
    options=COMMON,
    slow=True,
    question=("What does fine-tuning the whole network bring over a linear head on frozen features?"),
)
def regime(request: Request) -> Findings:
    """Compare the frozen and the fine-tuned regime.

    Slow: one network is trained for every fold. Durmaz et al.: ResNet-18 global 76.08 % frozen, 90.18 % fine-tuned.
    """
    arms = [
        Arm("frozen", "a linear head on frozen features", {"regime": "frozen"}),
        Arm("fine-tuned", "every layer trained, early stopping on a validation part", {"regime": "finetune"}),
    ]
    may = ["What fine-tuning brings with this recipe, network and amount of data."]
    may_not = ["What a longer training or another learning rate would bring: one recipe was tried."]
    return run_arms(request, arms, "frozen", may, may_not)
