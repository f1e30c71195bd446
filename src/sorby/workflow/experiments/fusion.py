"""Image and electrochemistry of one coupon together: whether the curves add to what the pictures say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from sorby.classify.heads import Targets, fit_head, spec_for
from sorby.classify.recipe import BalanceSection, HeadSection
from sorby.corpus import splits
from sorby.errors import InputError
from sorby.evidence import (
    compare_grades,
    fit_temperature,
    grades_of,
    log_loss,
    score_grades,
    softmax,
)
from sorby.progress import bar
from sorby.report import experiment_figures
from sorby.report.experiment_page import Column, Figure, Table
from sorby.report.wording import number
from sorby.workflow.experiments.bench import Bench, Floats, Rows, open_bench
from sorby.workflow.experiments.comparing import (
    DIFFERENCE_COLUMNS,
    MAY_NOT,
    METHOD,
    SCORE_COLUMNS,
    compared_rows,
    sentences_of_arms,
)
from sorby.workflow.experiments.curve_reading import CURVE_VALUES, CurveTable, filled, read_curves
from sorby.workflow.experiments.extracting import bench_features
from sorby.workflow.experiments.registry import Findings, Request, experiment

REFERENCE = "image"
ARMS = {
    REFERENCE: "pictures alone: frozen features, scores of a coupon's pictures averaged",
    "curves": "sweep and spectrum alone: potentials, slopes, and logarithms of currents, resistances, capacitance",
    "early fusion": "one head on the coupon's image scores and the numbers of its curves side by side",
    "late fusion, product": "probabilities of both multiplied and divided by the classes' shares",
    "late fusion, stacked": "one head on the scores of both",
    "early fusion, curves shuffled": "control: every coupon gets the curves of another one; must not help",
    "late fusion, stacked, curves shuffled": "control of the stacked one",
}
_OPTIONS: dict[str, Any] = {
    "folds": 5,
    "min_count": 2,
    "curves": None,
    "targets": "severity;alloy",
    "area_mm2": None,
}
_FEWEST_COUPONS = 20
#: Strengths for heads on a dozen numbers, which need less restraint than those on a thousand.
_STRENGTHS = (1e-2, 1e-1, 1.0, 10.0)
PHANTOM_LINK = (
    "That curves of real coupons would help as much: a phantom's corrosion current is its alloy's, times the pace of"
    " its attack, times a factor that grows with the share of the surface attacked, and its capacitance grows with that"
    " share alone. Those links are assumptions of whoever wrote the phantoms; fusion finds what was put in."
)


@experiment(
    "fusion",
    "Image and electrochemistry together",
    "S2-41",
    needs=("specimen",),
    options=_OPTIONS,
    question="Is a coupon judged better when its polarisation and impedance curves are read beside its pictures?",
)
def fusion(request: Request) -> Findings:
    """Compare pictures, curves, and three ways of putting them together, on folds of whole coupons."""
    if not request.options["curves"]:
        raise InputError("the folder of curves is missing", "--curves coupons/corrosion/curves")
    targets = [name.strip() for name in str(request.options["targets"]).split(";") if name.strip()]
    if not targets:
        raise InputError("no target is named", "--option targets=severity")
    area = _area(request.options["area_mm2"])
    studies: list[_Study] = []
    curves: CurveTable | None = None
    names: npt.NDArray[np.str_] | None = None
    for target in targets:
        bench = open_bench(request, ("specimen", target), label=target)
        coupons = np.unique(bench.column("specimen"))
        if curves is None or names is None or not np.array_equal(names, coupons):
            curves = read_curves(request.options["curves"], coupons.tolist(), area_mm2=area)
            names = coupons
        studies.append(_studied(bench, target, coupons, curves, int(request.options["folds"])))
    assert curves is not None, "there is a target"
    return _findings(studies, curves)


def _area(given: Any) -> float | None:
    """Return the electrodes' area; None where the curves state densities.

    Raises
    ------
    InputError
        It is no number.
    """
    if given is None:
        return None
    try:
        return float(given)
    except ValueError:
        raise InputError(f"option area_mm2={given} is no number", "as area_mm2=100") from None


@dataclass(frozen=True, eq=False)
class _Study:
    """One target: arms and what they say of coupons they have not seen."""

    target: str
    bench: Bench
    rows: list[dict[str, Any]]
    values: list[dict[str, Any]]
    folds: int


@dataclass(frozen=True, eq=False)
class Coupons:
    """What a study learns from: images with their coupon, and the coupons' curves.

    Attributes
    ----------
    features : ndarray, shape (n, D)
        Of the images.
    image_labels, coupon : ndarray of int, shape (n,)
        Class and coupon of each image.
    labels : ndarray of int, shape (G,)
        Class of each coupon.
    curves : ndarray, shape (G, K)
        NaN where a number is missing.
    kind : {"flat", "ordinal"}
    classes : tuple of str
    seed : int
    """

    features: npt.NDArray[np.float32]
    image_labels: Rows
    coupon: Rows
    labels: Rows
    curves: Floats
    kind: str
    classes: tuple[str, ...]
    seed: int


def _studied(bench: Bench, target: str, names: npt.NDArray[np.str_], curves: CurveTable, n_folds: int) -> _Study:
    coupon = np.searchsorted(names, bench.column("specimen"))
    grades = grades_of(bench.classes)
    labels = np.array([_label_of(bench.labels[coupon == g], grades) for g in range(len(names))], np.intp)
    used = curves.has_curve
    if not used.all():
        bench.warnings.append(f"{int((~used).sum())} coupons without a usable curve take no part in target {target}")
    kept, place = used[coupon], np.cumsum(used) - 1
    if used.sum() < _FEWEST_COUPONS:
        raise InputError(f"{int(used.sum())} coupons with curves are too few", f"{_FEWEST_COUPONS} are the least")
    data = Coupons(
        bench_features(bench)[kept], bench.labels[kept], place[coupon[kept]], labels[used], curves.values[used],
        "flat" if grades is None else "ordinal", bench.classes, bench.recipe.seed,
    )  # fmt: skip
    folds = splits.kfold(data.labels, n_folds, seed=bench.recipe.seed)
    probabilities = fused_out_of_fold(data, folds, target)
    called = {name: found.argmax(axis=1) for name, found in probabilities.items()}
    rows = compared_rows(data.labels, called, len(bench.classes), None, REFERENCE, bench.recipe.seed)
    for row in rows:
        row["target"] = target
        row["log_loss"] = log_loss(probabilities[row["arm"]], data.labels)
        if grades is not None:
            _add_order(row, data.labels, called, grades, bench.recipe.seed)
    return _Study(target, bench, rows, _alone(data, grades), int(folds.max()) + 1)


def _label_of(codes: Rows, grades: npt.NDArray[np.int64] | None) -> int:
    """Return a coupon's class: the median grade of its pictures, the lower of two; or the most frequent class."""
    if grades is None:
        return int(np.bincount(codes).argmax())
    ranked = codes[np.argsort(grades[codes], kind="stable")]
    return int(ranked[(len(ranked) - 1) // 2])


def _add_order(
    row: dict[str, Any],
    labels: Rows,
    called: Mapping[str, npt.NDArray[Any]],
    grades: npt.NDArray[np.int64],
    seed: int,
) -> None:
    codes = called[row["arm"]]
    row |= {name: entry.as_dict() for name, entry in score_grades(labels, codes, grades, None, seed).items()}
    if "difference" in row:
        gaps = compare_grades(labels, codes, called[REFERENCE], grades, None, seed)
        row["difference"] |= {name: gap.as_dict() for name, gap in gaps.items()}


def fused_out_of_fold(data: Coupons, folds: Rows, target: str) -> dict[str, Floats]:
    """Return the probabilities of every coupon from models that have not seen its fold, for each of `ARMS`.

    Parameters
    ----------
    data : Coupons
    folds : ndarray of int, shape (G,)
    target : str
        For the progress bar.

    Returns
    -------
    dict of str to ndarray, shape (G, C)
    """
    shuffled = of_another(len(data.labels), data.seed)
    found = {name: np.zeros((len(data.labels), len(data.classes))) for name in ARMS}
    n_folds = int(folds.max()) + 1
    with bar(f"fusion, {target}", n_folds) as advance:
        for k in range(n_folds):
            train, test = np.flatnonzero(folds != k), np.flatnonzero(folds == k)
            image = _image_scores(data, train, test)
            for suffix, values in (("", data.curves), (", curves shuffled", data.curves[shuffled])):
                table = filled(values, train)
                curve = _fitted(data, table[train], data.labels[train], table[test])
                early = _fitted(
                    data,
                    np.concatenate([image.cross, table[train]], axis=1),
                    data.labels[train],
                    np.concatenate([image.test, table[test]], axis=1),
                )
                late = _fitted(
                    data,
                    np.concatenate([image.cross, curve.cross], axis=1),
                    data.labels[train],
                    np.concatenate([image.test, curve.test], axis=1),
                )
                found[f"early fusion{suffix}"][test] = np.exp(early.test)
                found[f"late fusion, stacked{suffix}"][test] = np.exp(late.test)
                if not suffix:
                    shares = np.bincount(data.labels[train], minlength=len(data.classes)) + 0.5
                    both = image.test + curve.test - np.log(shares / shares.sum())
                    found[REFERENCE][test], found["curves"][test] = np.exp(image.test), np.exp(curve.test)
                    found["late fusion, product"][test] = softmax(both)
            advance(1)
    return found


def of_another(n: int, seed: int) -> Rows:
    """Return for each of *n* coupons another one, each once: drawn as a ring, so that none keeps its own curves."""
    ring = np.random.default_rng(seed).permutation(n)
    found = np.empty_like(ring)
    found[ring] = np.roll(ring, 1)
    return found


@dataclass(frozen=True, eq=False)
class _Scores:
    """Logarithms of calibrated probabilities: cross-fitted ones of what taught, and those of what did not."""

    cross: Floats
    test: Floats


def _image_scores(data: Coupons, train: Rows, test: Rows) -> _Scores:
    """Return the scores of coupons from their pictures: the mean of the pictures' log probabilities."""
    rows, others = (np.flatnonzero(np.isin(data.coupon, part)) for part in (train, test))
    scores = _fitted(
        data, data.features[rows], data.image_labels[rows], data.features[others],
        groups=data.coupon[rows], strengths=HeadSection().c_grid,
    )  # fmt: skip
    return _Scores(_pooled(scores.cross, data.coupon[rows], train), _pooled(scores.test, data.coupon[others], test))


def _pooled(scores: Floats, coupon: Rows, order: Rows) -> Floats:
    """Return mean scores of coupons in *order*, as logarithms of probabilities."""
    member = (coupon[None, :] == order[:, None]).astype(np.float64)
    mean = (member @ scores) / member.sum(axis=1, keepdims=True)
    return np.asarray(mean - np.log(np.exp(mean).sum(axis=1, keepdims=True)))


def _fitted(
    data: Coupons,
    taught: npt.NDArray[Any],
    labels: Rows,
    asked: npt.NDArray[Any],
    *,
    groups: Rows | None = None,
    strengths: tuple[float, ...] = _STRENGTHS,
) -> _Scores:
    """Teach a head of the target's kind and ask it, calibrated by its inner folds."""
    section = HeadSection.model_validate(
        {"kind": data.kind, "routing": "soft", "sharing": "none", "c_grid": list(strengths)}
    )
    spec = spec_for(section, data.classes, inputs=taught.shape[1], parts=None, lengths=(), frozen=True)
    inner = splits.kfold(labels, section.folds, groups=groups, seed=data.seed, purpose="calibrating")
    fitted = fit_head(
        taught.astype(np.float32), Targets.plain(labels), spec, inner, section, BalanceSection(), seed=data.seed
    )
    temperature = fit_temperature(fitted.cross_logits, labels)
    least = 1e-6
    cross = np.log(np.clip(softmax(fitted.cross_logits, temperature), least, None))
    test = np.log(np.clip(softmax(fitted.head.scores(asked.astype(np.float32)), temperature), least, None))
    return _Scores(cross, test)


def _alone(data: Coupons, grades: npt.NDArray[np.int64] | None) -> list[dict[str, Any]]:
    """Return how often each number of the curves is known, and how it goes with the grade."""
    rows = []
    for k, name in enumerate(CURVE_VALUES):
        known = np.isfinite(data.curves[:, k])
        row: dict[str, Any] = {"number": name, "known": float(known.mean()), "spearman": None}
        if grades is not None and known.sum() > 3 and np.ptp(data.curves[known, k]) > 0:
            row["spearman"] = float(spearmanr(data.curves[known, k], grades[data.labels[known]])[0])
        rows.append(row)
    return rows


def _findings(studies: Sequence[_Study], curves: CurveTable) -> Findings:
    tables, figures, answers = [], [], []
    for study in studies:
        ordered = "mean_absolute_error" in study.rows[0]
        extra = (
            (
                Column("mean_absolute_error", "mean absolute error, grades", "number"),
                Column("difference.mean_absolute_error", "grades less reference", "number"),
                Column("weighted_kappa", "weighted kappa", "number"),
            )
            if ordered
            else ()
        )
        columns = (Column("arm", "arm"), *SCORE_COLUMNS[:1], SCORE_COLUMNS[2], *extra,
                   Column("log_loss", "log loss", "number"), *DIFFERENCE_COLUMNS)  # fmt: skip
        tables.append(Table(f"Target {study.target}: one verdict a coupon.", columns, study.rows))
        if ordered:
            told = (Column("number", "number"), Column("known", "coupons that have it", "share"),
                    Column("spearman", "rank correlation with the grade, both alloys", "number"))  # fmt: skip
            tables.append(Table(f"Numbers of the curves beside {study.target}.", told, study.values))
        figures.append(_figure(study, ordered))
        answers += [f"{study.target}: {line}" for line in sentences_of_arms(study.rows, REFERENCE)]
        answers += [_order_answer(study.target, row) for row in study.rows if ordered and "difference" in row]
    first = studies[0].bench
    missing = [f"{len(curves.missing)} coupons have no curve file: {', '.join(curves.missing[:5])}"]
    phantoms = "phantom" in first.corpus.table and bool((first.column("phantom") == "True").any())
    return Findings(
        table=[row for study in studies for row in study.rows],
        answers=answers,
        tables=tables,
        figures=figures,
        may=["Whether these curves add to these pictures, where an interval leaves out zero and the control does not."],
        may_not=[*MAY_NOT, *([PHANTOM_LINK] if phantoms else [])],
        data=[*first.described(), f"{studies[0].folds} folds of whole coupons, the same for every arm",
              "numbers that a curve does not support are missing: filled by the median of the taught coupons, and a"
              " column says so; a spectrum that fails Kramers-Kronig gives none", *METHOD[1:]],
        arms=list(ARMS.items()),
        warnings=list(dict.fromkeys([*(line for study in studies for line in study.bench.warnings),
                                     *(missing if curves.missing else [])])),
        quarantined=[*first.quarantined, *(entry.as_dict() for entry in curves.quarantined)],
        extra={"reference": REFERENCE, "curve_values": {study.target: study.values for study in studies}},
    )  # fmt: skip


def _figure(study: _Study, ordered: bool) -> Figure:
    """Return the differences to the pictures alone, of the error in grades where there are grades."""
    key, axis = ("mean_absolute_error", "grades") if ordered else ("accuracy", "points")
    rows = [(str(row["arm"]), {axis: row["difference"][key]}) for row in study.rows if "difference" in row]
    svg = experiment_figures.dots(
        rows, f"{study.target}-gaps", f"{key.replace('_', ' ')} less that of {REFERENCE}, {axis}", reference=0.0,
        shares=False, points=not ordered,
    )  # fmt: skip
    better = "left" if ordered else "right"
    return Figure(svg, f"Target {study.target}: paired differences; {better} of the dashed line is better.")


def _order_answer(target: str, row: Mapping[str, Any]) -> str:
    gap = row["difference"]["mean_absolute_error"]
    span = "" if gap["ci95"] is None else f" ({gap['ci95'][0]:+.3f} to {gap['ci95'][1]:+.3f})"
    return (
        f"{target}, {row['arm']}: {number(row['mean_absolute_error']['value'])} grades off on average,"
        f" {gap['value']:+.3f}{span} against {REFERENCE}."
    )
