"""Heads against each other: global, two-stage, multi-task, ordinal, by needle length, noise-aware."""

from __future__ import annotations

from sorby.classify.heads import LENGTH_COLUMNS
from sorby.errors import InputError
from sorby.workflow.experiments.ablations import COMMON, comparison
from sorby.workflow.experiments.arms import Arm
from sorby.workflow.experiments.bench import open_bench
from sorby.workflow.experiments.comparing import compare_arms
from sorby.workflow.experiments.registry import Findings, Request, experiment

#: One line a head; the first is the reference.
HEADS = (
    Arm("global", "one classifier of all structure codes (S1-30)", {"head.kind": "flat"}),
    Arm("global, hidden layer", "the same over one hidden layer: what a hidden layer alone brings",
        {"head.kind": "flat", "head.sharing": "hard"}),
    Arm("two-stage", "subtype first, then the sizes of the predicted subtype (S1-31)",
        {"head.kind": "staged", "head.routing": "hard"}),
    Arm("two-stage, soft", "the same, probabilities multiplied instead of routed",
        {"head.kind": "staged", "head.routing": "soft"}),
    Arm("multi-task", "one hidden layer shared by subtype and sizes (S1-67)",
        {"head.kind": "multitask", "head.routing": "soft"}),
    Arm("cross-stitch", "a tower for each task with cross-stitch units between them (S1-67)",
        {"head.kind": "multitask", "head.sharing": "cross-stitch", "head.routing": "soft"}),
    Arm("ordinal", "sizes as an order, errors cost by their distance",
        {"head.kind": "ordinal", "head.routing": "soft"}),
)  # fmt: skip
#: For corpora that state needle lengths.
LENGTH_HEADS = (
    Arm(
        "length",
        "needle lengths predicted and graded through the grade table (S1-69)",
        {"head.kind": "length", "head.routing": "soft"},
    ),
)


@experiment(
    "heads",
    "Global, two-stage, multi-task, ordinal, by length",
    "S1-41",
    options={**COMMON, "only": None},
    question=(
        "Is it better to name subtype and size at once, one after the other, together, or along the order of sizes?"
    ),
)
def heads(request: Request) -> Findings:
    """Compare heads.

    Durmaz et al. report two-stage above global by 0.3 points (ResNet-18), which is one image of 326.
    """
    may = ["Which head serves better on frozen features of these images, where the interval leaves out zero."]
    may_not = ["Anything on fine-tuned heads; rerun with --set regime=finetune."]
    bench = open_bench(request)
    arms = list(HEADS)
    if set(LENGTH_COLUMNS.values()) <= set(bench.corpus.table):
        arms += LENGTH_HEADS
    else:
        bench.warnings.append("head by length left out: the corpus does not state the needle lengths it learns")
    if request.options["only"]:
        arms = _chosen(arms, str(request.options["only"]))
    folds = bench.folds(request.options["folds"])
    compared = compare_arms(bench, arms, folds, "global")
    return comparison(bench, arms, compared, int(folds.max()) + 1, may, may_not)


def _chosen(arms: list[Arm], only: str) -> list[Arm]:
    """Return the reference and the arms named, parted by semicolons since names hold commas."""
    names = {arm.name for arm in arms}
    wanted = [name.strip() for name in only.split(";")]
    if unknown := [name for name in wanted if name not in names]:
        raise InputError(f"heads has no arm {unknown[0]!r}", f"its arms: {'; '.join(sorted(names))}")
    return [arm for arm in arms if arm.name in ("global", *wanted)]
