"""What are generated images worth to a classifier that has few originals, and what do they hide?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.classify.recipe import Recipe
from sorby.classify.recipe import load as load_recipe
from sorby.corpus import splits
from sorby.errors import InputError
from sorby.progress import bar
from sorby.report.experiment_page import Column, Figure, Table
from sorby.report.wording import count, interval, percent
from sorby.synthesize import SynthesisRecipe
from sorby.synthesize import load_recipe as load_synthesis
from sorby.workflow.experiments.bench import Bench, open_bench
from sorby.workflow.experiments.comparing import (
    METHOD,
    compared_rows,
    figures_of_arms,
    scores,
    sentences_of_arms,
    table_of_arms,
)
from sorby.workflow.experiments.few_originals import Round, codes_of, rounds_of
from sorby.workflow.experiments.registry import Findings, Request, experiment
from sorby.workflow.experiments.synthetic_teaching import FrozenCaller, Images, Studio, network_calls
from sorby.workflow.runs import noting

Rows = npt.NDArray[np.intp]

ORIGINALS, AUGMENTED, GENERATED, BOTH = "originals alone", "augmentation", "generated images", "both"
FROZEN, FROZEN_GENERATED = "frozen features", "frozen features, generated images"
LEAKY, FROZEN_LEAKY = "both, generator saw the test", "frozen features, generator saw the test"
#: Whether the network of an arm is taught by augmented images, and by generated ones.
_NETWORK_ARMS = {ORIGINALS: (False, False), AUGMENTED: (True, False), GENERATED: (False, True), BOTH: (True, True)}
_MIXED_FOLDS = 5

#: A teaching short enough to be repeated for every class and training part.
SHORT_TEACHING = "training.steps=150 training.report_every=50"
_OPTIONS: dict[str, Any] = {
    "protocol": "folds",
    "folds": 5,
    "originals": "12,13",
    "draws": 3,
    "generator": "stills-128",
    "generator_set": SHORT_TEACHING,
    "network": "corrosion-table6",
    "per_original": 7.4,
    "exposures": 1000,
    "mixed": 1,
    "min_count": 2,
}


@dataclass(eq=False)
class _Called:
    """What the arms called, over all rounds."""

    rows: list[Rows] = field(default_factory=list)
    by_arm: dict[str, list[Rows]] = field(default_factory=dict)

    def add(self, arm: str, codes: Rows) -> None:
        self.by_arm.setdefault(arm, []).append(codes)

    def together(self) -> tuple[Rows, dict[str, Rows]]:
        """Return the judged rows and each arm's calls, rounds one after the other."""
        return np.concatenate(self.rows), {arm: np.concatenate(found) for arm, found in self.by_arm.items()}


@experiment(
    "synthetic-images",
    "Generated images: what they bring, and what leakage they hide",
    "S2-26, S2-45",
    options=_OPTIONS,
    slow=True,
    question=(
        "A network has a few originals of each class. Does it judge new specimens better when it is also taught by"
        " generated images? And how much better does it seem when images generated from the test originals teach too?"
    ),
)
def synthetic_images(request: Request) -> Findings:
    """Teach one network four ways, and a frozen backbone beside it, on the same divisions of the originals.

    Generators are taught from the training originals of each round alone; every generated image names its ancestors.
    Where rounds are folds, the same is done once more with generators that saw all originals, as where nobody kept
    them apart; the difference is what leakage adds. Bhat et al. (2023) describe neither a split nor an ablation.
    """
    _checked(request.options)
    bench = open_bench(request)
    return ablate(bench, open_studio(bench, request.options), request.options)


def open_studio(bench: Bench, options: Mapping[str, Any]) -> Studio:
    """Read the originals at all sizes, for the options' network and generator.

    Raises
    ------
    InputError
        The bench's recipe fine-tunes, an option leaves nothing to do, or an image or a recipe cannot be read.
    """
    network = _checked(options)
    if bench.recipe.regime != "frozen":
        raise InputError("the experiment's own recipe is the frozen one", "name the network by --option network=RECIPE")
    return Studio(
        bench,
        network,
        whole_pictures(options["generator"], options["generator_set"]),
        float(options["per_original"]),
    )


def ablate(bench: Bench, studio: Studio, options: Mapping[str, Any]) -> Findings:
    """Run the experiment on a bench and a studio that are open.

    Parameters
    ----------
    bench : Bench
    studio : Studio
        Keeps what its generators made; who goes on with it need not teach them again.
    options : mapping
        All of the experiment's.
    """
    rounds = rounds_of(
        bench, options["protocol"], folds=int(options["folds"]), originals=options["originals"],
        draws=int(options["draws"]),
    )  # fmt: skip
    exposures = int(options["exposures"])
    leaky = options["protocol"] != "rest"
    called = _run(bench, studio, rounds, exposures, leaky=leaky)
    mixed = _mixed(bench, studio, exposures) if leaky and int(options["mixed"]) else None
    return _findings(bench, studio, rounds, called, mixed, options, leaky=leaky)


def _checked(options: Mapping[str, Any]) -> Recipe:
    """Refuse, before anything is taught, options that leave nothing to teach or judge; return the network's recipe."""
    for name in ("draws", "exposures"):
        if int(options[name]) < 1:
            raise InputError(f"{name}={options[name]} leaves nothing to learn", f"give 1 or more, as {name}=3")
    if not 1 <= float(options["per_original"]) < np.inf:
        raise InputError(
            f"per_original={options['per_original']}: less than one generated image an original",
            "1 or more, as per_original=7.4",
        )
    network = load_recipe(options["network"])
    if network.regime == "frozen":
        raise InputError(
            f"network={options['network']} is a frozen recipe, which no pixels teach", "network=corrosion-table6"
        )
    return network


def whole_pictures(name: str, settings: str) -> SynthesisRecipe:
    """Read a generator's recipe and have it learn whole pictures, so that what it makes shows as much as an original.

    Parameters
    ----------
    name : str
    settings : str
        ``field=value`` pairs, separated by blanks.

    Raises
    ------
    InputError
        A pair cannot be read, or the recipe.
    """
    found: dict[str, Any] = {}
    for pair in str(settings).split():
        field_name, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"generator_set={settings}: {pair} is no field=value", "e.g. training.steps=500")
        found[field_name] = value
    recipe = load_synthesis(name, {**found, "image.original_px": None})
    if recipe.method == "gan-frames":
        raise InputError(f"{name} learns sequences; the originals are stills", "generator=gan-stills")
    return recipe


def _run(bench: Bench, studio: Studio, rounds: Sequence[Round], exposures: int, *, leaky: bool) -> _Called:
    """Teach and judge every arm in every round."""
    called, frozen = _Called(), FrozenCaller(bench.recipe, len(bench.classes))
    everyone = np.arange(bench.n)
    groups = None if bench.plan.groups is None else np.asarray(bench.plan.groups)
    with bar("rounds", len(rounds)) as advance, noting(bench.warnings):
        for k, each in enumerate(rounds):
            originals = studio.originals.take(each.train)
            judged = studio.originals.take(each.test)
            made = studio.generated(each.train)
            called.rows.append(each.test)
            for arm, (augmented, generated) in _NETWORK_ARMS.items():
                taught = originals.joined(made) if generated else originals
                called.add(arm, _network(bench, studio, taught, judged, exposures, k, augmented=augmented))
            mine = None if groups is None else groups[each.train]
            called.add(FROZEN, frozen.calls(originals, None, judged.features, mine))
            called.add(FROZEN_GENERATED, frozen.calls(originals, made, judged.features, mine))
            if leaky:
                seen = studio.generated(everyone)
                leaked = originals.joined(seen)
                called.add(LEAKY, _network(bench, studio, leaked, judged, exposures, k, augmented=True))
                called.add(FROZEN_LEAKY, frozen.calls(originals, seen, judged.features, mine))
            advance(1)
    return called


def _network(
    bench: Bench, studio: Studio, taught: Images, judged: Images, exposures: int, k: int, *, augmented: bool
) -> Rows:
    """Teach the network of one arm; all arms of a round begin from the same weights."""
    return network_calls(
        taught, judged.network, bench.classes, studio.network, exposures,
        augmented=augmented, seed=bench.recipe.seed + k, device=bench.device,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Mixed:
    """Originals and generated images in one heap, divided at random: each is judged by a network not shown it."""

    truth: Rows
    called: Rows
    original: npt.NDArray[np.bool_]


def _mixed(bench: Bench, studio: Studio, exposures: int) -> _Mixed:
    """Do what one gets by dividing all images at random, generated ones among the judges."""
    every = studio.originals.joined(studio.generated(np.arange(bench.n)))
    folds = splits.kfold(every.labels, _MIXED_FOLDS, seed=bench.recipe.seed)
    called = np.zeros(len(folds), np.intp)
    with bar("mixed", _MIXED_FOLDS) as advance:
        for k in range(_MIXED_FOLDS):
            taught, judged = every.take(np.flatnonzero(folds != k)), every.take(np.flatnonzero(folds == k))
            called[folds == k] = _network(bench, studio, taught, judged, exposures, k, augmented=True)
            advance(1)
    return _Mixed(every.labels, called, np.arange(len(folds)) < bench.n)


def _findings(
    bench: Bench, studio: Studio, rounds: Sequence[Round], called: _Called, mixed: _Mixed | None,
    options: Mapping[str, Any], *, leaky: bool,
) -> Findings:  # fmt: skip
    rows, by_arm = called.together()
    truth, specimens, seed = bench.labels[rows], codes_of(bench)[rows], bench.recipe.seed
    n_classes = len(bench.classes)
    fair = {arm: codes for arm, codes in by_arm.items() if arm not in (LEAKY, FROZEN_LEAKY)}
    table = compared_rows(truth, fair, n_classes, specimens, ORIGINALS, seed)
    tables = [table_of_arms(table, ORIGINALS)]
    answers = sentences_of_arms(table, ORIGINALS)
    for row in table:
        row["confusion"] = _confusion(truth, fair[row["arm"]], n_classes)
    extra: dict[str, Any] = {
        "rounds": len(rounds), "taught": float(np.mean([len(each.train) for each in rounds])),
        "judged": len(np.unique(rows)), "classes": list(bench.classes),
        "spread_over_rounds": _spread(truth, called) if not leaky else None,
        "generator_seconds": float(np.sum(studio.seconds)), "generators": len(studio.seconds),
    }  # fmt: skip
    if leaky:
        inflation = [
            _inflation(truth, by_arm[with_leak], by_arm[without], n_classes, specimens, seed, with_leak)
            for with_leak, without in ((LEAKY, BOTH), (FROZEN_LEAKY, FROZEN_GENERATED))
        ]
        shown, told = _leakage(table, inflation, mixed, n_classes, seed)
        tables.append(shown)
        answers += told
        extra |= {"leakage": inflation, "mixed": None if mixed is None else _mixed_rows(mixed, n_classes, seed)}
    figures: Sequence[Figure] = figures_of_arms(table, ORIGINALS)
    return Findings(
        table=table,
        answers=answers,
        tables=tables,
        figures=figures,
        may=["Whether this generator's images helped this network on these originals, with as many looks at images."],
        may_not=[
            "That generated images help, or do not help, elsewhere: other generators, networks and surfaces differ.",
            "That an interval which holds zero means no effect: with few originals most effects go unseen.",
            *(["That all of the leaky arms' gain is leakage: their generators also learnt from a few originals more,"
               " and made as many more images."] if leaky else []),
            *(["That the spread over training sets is in the intervals: test specimens are resampled, and only"
               f" {len(rounds)} draws of originals were made."] if not leaky else []),
        ],
        data=[
            *bench.described(), _protocol_said(options, rounds, len(np.unique(rows))),
            f"generator {studio.synthesis.name}, {studio.synthesis.image.size_px} px, taught anew for every class and"
            f" training part; {float(options['per_original']):g} images an original",
            f"network {options['network']} from first weights; every arm sees {int(options['exposures'])} images in"
            " all, and no original chooses an epoch",
            "frozen features: the strength of the head is chosen on originals alone", *METHOD,
        ],
        arms=_arms(leaky=leaky),
        warnings=bench.warnings,
        quarantined=bench.quarantined,
        extra=extra,
    )  # fmt: skip


def _protocol_said(options: Mapping[str, Any], rounds: Sequence[Round], judged: int) -> str:
    taught = sorted({len(each.train) for each in rounds})
    span = f"{taught[0]}" if len(taught) == 1 else f"{taught[0]} to {taught[-1]}"
    kind = {"one-out": "each specimen left out once", "folds": "folds of whole specimens",
            "rest": "originals drawn to teach, all others judge"}[options["protocol"]]  # fmt: skip
    return f"{kind}: {count(len(rounds), 'round')}, {span} originals teach; {judged} different originals judged"


def _arms(*, leaky: bool) -> list[tuple[str, str]]:
    said = [
        (ORIGINALS, "the network sees the training originals as they are"),
        (AUGMENTED, "turned, shifted, flipped, lit and zoomed anew each time"),
        (GENERATED, "the originals and images of a generator taught from them"),
        (BOTH, "generated images too, all of them augmented"),
        (FROZEN, "a linear head on a pre-trained network's features of the originals"),
        (FROZEN_GENERATED, "the same head, taught by generated images too"),
    ]
    if leaky:
        said.append((LEAKY, "as 'both', but the generator was taught from all originals, those of the test among them"))
        said.append((FROZEN_LEAKY, "the same for the head on frozen features"))
    return said


def _confusion(truth: Rows, codes: Rows, n_classes: int) -> list[list[int]]:
    """Return images by true class (rows) and called class."""
    found = np.zeros((n_classes, n_classes), np.intp)
    np.add.at(found, (truth, codes), 1)
    counts: list[list[int]] = found.tolist()
    return counts


def _spread(truth: Rows, called: _Called) -> dict[str, list[float]]:
    """Return each arm's accuracy round by round."""
    cuts = np.cumsum([len(rows) for rows in called.rows])[:-1]
    parts = np.split(truth, cuts)
    return {
        arm: [float((codes == part).mean()) for codes, part in zip(found, parts, strict=True)]
        for arm, found in called.by_arm.items()
    }


def _inflation(
    truth: Rows, leaked: Rows, clean: Rows, n_classes: int, specimens: Rows, seed: int, name: str
) -> dict[str, Any]:
    """Return what an arm gains by leakage: scores of both, and the paired difference."""
    pair = compared_rows(truth, {"clean": clean, name: leaked}, n_classes, specimens, "clean", seed)
    return {"arm": name, "clean": pair[0]["accuracy"], "leaky": pair[1]["accuracy"],
            "difference": pair[1]["difference"]["accuracy"], "n": pair[0]["n"]}  # fmt: skip


def _mixed_rows(mixed: _Mixed, n_classes: int, seed: int) -> dict[str, Any]:
    """Return the scores of the random division, over all images and over originals alone."""
    parts = {"all": np.ones(len(mixed.truth), bool), "originals": mixed.original, "generated": ~mixed.original}
    return {
        name: scores(mixed.truth[part], mixed.called[part], n_classes, None, seed)["accuracy"]
        for name, part in parts.items()
    }


def _leakage(
    table: Sequence[Mapping[str, Any]], inflation: Sequence[Mapping[str, Any]], mixed: _Mixed | None,
    n_classes: int, seed: int,
) -> tuple[Table, list[str]]:  # fmt: skip
    """Return the table and the sentences on leakage."""
    rows: list[dict[str, Any]] = [dict(each) for each in inflation]
    told = []
    for each in inflation:
        gap = each["difference"]
        told.append(
            f"{each['arm']}: accuracy {percent(each['leaky']['value'])} against {percent(each['clean']['value'])} with"
            f" generators of the training part alone; {100 * gap['value']:+.1f} points"
            + (f" ({100 * gap['ci95'][0]:+.1f} to {100 * gap['ci95'][1]:+.1f})." if gap["ci95"] else ".")
        )
    if mixed is not None:
        found = _mixed_rows(mixed, n_classes, seed)
        honest = next(row for row in table if row["arm"] == BOTH)["accuracy"]
        rows.append({"arm": "all images divided at random, generated ones judge too", "clean": honest,
                     "leaky": found["all"], "n": len(mixed.truth)})  # fmt: skip
        told.append(
            f"All images in one heap, divided at random, as a paper that names no split may have done: accuracy"
            f" {percent(found['all']['value'])} of {len(mixed.truth)} ({interval(found['all']['ci95'])}); of the"
            f" originals in it {percent(found['originals']['value'])}, with originals kept apart"
            f" {percent(honest['value'])}."
        )
    columns = (
        Column("arm", "arm"),
        Column("n", "n", "count"),
        Column("leaky", "accuracy with leakage", "share"),
        Column("clean", "accuracy without", "share"),
        Column("difference", "difference, points", "points"),
    )
    return Table(
        "What leakage adds: the same images judged, generators taught with and without them.", columns, rows
    ), told
