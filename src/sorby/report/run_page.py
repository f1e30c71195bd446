"""The report of a training or cross-validation as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from markupsafe import Markup

from sorby.report import figures
from sorby.report.attention import Attention
from sorby.report.audit import SplitAudit
from sorby.report.findings import Promise, cautions, decided, headline, reasons, share, short_class
from sorby.report.gallery import Shot, Strip
from sorby.report.page import drawing, render
from sorby.report.wording import count, is_number, metric_rows, number, percent


@dataclass(frozen=True, eq=False)
class RunFacts:
    """Everything the page of a run says.

    Attributes
    ----------
    run : mapping
        Content of ``run.json``.
    verdicts : DataFrame
        Verdict table, default index.
    audit : SplitAudit
    groups : ndarray or None
        Specimen of each verdict, where specimens were kept whole.
    pixel_sizes_um : ndarray of float
        Of the images, NaN where unknown.
    promise : Promise
    limits : sequence of str
        What the classifier must not be used for.
    recipe_text : str
        The recipe as YAML.
    """

    run: Mapping[str, Any]
    verdicts: pd.DataFrame
    audit: SplitAudit
    groups: npt.NDArray[Any] | None
    pixel_sizes_um: npt.NDArray[np.float64]
    promise: Promise
    limits: Sequence[str]
    recipe_text: str


@dataclass(frozen=True, eq=False)
class RunPictures:
    """The pictures of the page and what is said about them.

    Attributes
    ----------
    strips : sequence of Strip
    errors, referred, examples : sequence of Shot
    without_example : sequence of str
        Classes of which no image was named right.
    attention : Attention or None
    no_maps : str
        Why there are no maps.
    unseen : str
        How many images could not be shown; empty if all could.
    """

    strips: Sequence[Strip]
    errors: Sequence[Shot]
    referred: Sequence[Shot]
    examples: Sequence[Shot]
    without_example: Sequence[str]
    attention: Attention | None
    no_maps: str
    unseen: str


@dataclass(frozen=True)
class Drawn:
    """A figure with its title and the width in pixels below which it is not squeezed."""

    svg: Markup
    title: str
    least: int = 0


def run_page(facts: RunFacts, pictures: RunPictures) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    facts : RunFacts
    pictures : RunPictures
    """
    run, verdicts = facts.run, facts.verdicts
    test, seed = run["test"], int(run["recipe"]["seed"])
    alone = decided(verdicts, run["classes"], facts.groups, seed)
    kind = "Cross-validation report" if run["kind"] == "crossval" else "Classifier report"
    return render(
        "run.html",
        title=f"{kind}: {run['recipe']['name']}",
        sorby_version=run["provenance"]["versions"]["sorby"],
        created=run["provenance"]["created"][:16].replace("T", " ") + " UTC",
        run=run,
        split_words=", ".join(f"{n} {part}" for part, n in run.get("split", {}).items()),
        sentences=[*headline(run), _division(alone, test["n"])],
        cautions=cautions(run, len(facts.audit.shared_specimens)),
        decided=alone,
        referred_share=share(verdicts["referred"].to_numpy(dtype=bool), facts.groups, seed),
        reasons=reasons(verdicts, facts.groups, seed),
        promise=facts.promise,
        short_class=short_class(test, run["classes"], facts.promise.aim, run["recipe"]["verdict"]["class_conditional"]),
        empty_note=_empty_note(test),
        limits=facts.limits,
        audit=facts.audit,
        taught=_taught(run, facts.audit),
        pixel_sizes=_pixel_sizes(facts.pixel_sizes_um),
        preprocessing=_preprocessing(run["preprocessing"]),
        drawn=_draw(facts),
        risk_words=_risk_words(test["selective"]),
        metrics=metric_rows(test),
        fold_metrics=metric_rows(run.get("over_folds", {})),
        class_rows=_class_rows(test, run["classes"]),
        attention=_attention(pictures.attention),
        no_maps=pictures.no_maps,
        strips=pictures.strips,
        strips_note="",
        errors=pictures.errors,
        referred=pictures.referred,
        examples=pictures.examples,
        without_example=pictures.without_example,
        n_errors=int((~verdicts["correct"].to_numpy(dtype=bool)).sum()),
        unseen=pictures.unseen,
        provenance=_provenance(run),
        recipe_text=facts.recipe_text,
    )


def _draw(facts: RunFacts) -> dict[str, Any]:
    run, test = facts.run, facts.run["test"]
    counts = {part: row.tolist() for part, row in zip(facts.audit.parts, facts.audit.counts, strict=True)}
    novelty = facts.verdicts["novelty"].to_numpy(dtype=np.float64)
    n_classes = len(run["classes"])
    least = 22 * n_classes + 170 if n_classes > 9 else 52 * n_classes + 120
    return {
        "class_counts": Drawn(drawing(figures.class_counts(counts, run["classes"])), "Images in each part"),
        "confusion": Drawn(drawing(figures.confusion(test["confusion"], run["classes"])), "Confusion matrix", least),
        "per_class": Drawn(drawing(figures.per_class(test["per_class"])), "Class by class"),
        "reliability": Drawn(
            drawing(figures.reliability(test["calibration"]["reliability"], test["n"])), "Reliability diagram"
        ),
        "risk": Drawn(drawing(figures.risk_coverage(test["selective"])), "Risk-coverage curve"),
        "novelty": Drawn(
            drawing(figures.novelty(novelty, run["recipe"]["verdict"]["novelty_rate"])), "Novelty p-values"
        ),
        "learning": list(_learning(run)),
    }


def _learning(run: Mapping[str, Any]) -> list[Drawn]:
    """Return the learning curves of a fine-tuning, or the choice of regularisation of a frozen head."""
    fits = run.get("fits") or [run["fit"]]
    several = len(fits) > 1
    found = []
    for k, fit in enumerate(fits[:10]):
        where = f"Fold {k}: " if several else ""
        stages = fit.get("stages") or ({"": fit} if fit.get("history") else {})
        for place, (stage, learnt) in enumerate(stages.items()):
            fell = learnt.get("collapse")
            svg = figures.learning(learnt["history"], int(learnt["best_epoch"]), f"learning-{k}-{place}", fell)
            measured = "loss and validation scores" if "val_loss" in learnt["history"][0] else "training loss"
            said = f"{measured} over {count(len(learnt['history']), 'epoch')}"
            kept = f"epoch {int(learnt['best_epoch']) + 1} had the best validation macro-F1 and was kept"
            if run["recipe"]["finetune"].get("keep") == "last":
                kept = "the last epoch was kept, no epoch was chosen"
            of_stage = f"stage {stage}: " if stage else ""
            falls = f" {_sentence(fell['sentence'])}." if fell else ""
            found.append(Drawn(drawing(svg), _sentence(f"{where}{of_stage}{said}; {kept}.") + falls))
        if not several:
            searched = fit.get("head_trials", {}).items()  # a head of fixed strength has nothing to show
            found += [_search(fit, stage, trials) for stage, trials in searched if stage in fit["c"]]
    return found


def _search(fit: Mapping[str, Any], stage: str, trials: Sequence[Mapping[str, float]]) -> Drawn:
    """Show how strongly a head, or one stage of it, was regularised and why."""
    svg = figures.head_search(trials, float(fit["c"][stage]))
    what = "head" if len(fit["head_trials"]) == 1 else f"stage {stage}"
    said = f"The {what} was chosen among {len(trials)} by cross-validation within the teaching images"
    return Drawn(drawing(svg), f"{said} ({fit['inner_folds']} inner folds); calibrated on {fit['calibrated_on']}.")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _class_rows(test: Mapping[str, Any], classes: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    for name, covered in zip(classes, test["sets"]["per_class"], strict=True):
        row = test["per_class"][name]
        entries = [
            row[kind] if row["support"] or kind == "precision" else None for kind in ("recall", "precision", "f1")
        ]
        rows.append({"name": name, "support": row["support"], "entries": [*entries, covered]})
    return rows


def _division(alone: Mapping[str, Any], n: int) -> str:
    """Say which images it decides by itself and which it hands over."""
    if not alone["referred"]:
        return f"It decides all {n} images by itself and refers none to a person."
    said = f"It refers {alone['referred']} of {n} images to a person"
    if not alone["n"]:
        return said + " and decides none by itself."
    return f"{said} and decides {alone['n']} by itself: {alone['right']} right, {alone['silent_errors']} wrong."


def _taught(run: Mapping[str, Any], audit: SplitAudit) -> str:
    n = run["corpus"]["n"]
    said = f"The data are {count(n, 'image')} of {len(run['classes'])} classes"
    said += (
        f" from {count(audit.n_specimens, 'specimen')}."
        if audit.n_specimens is not None
        else "; specimens are not named."
    )
    if run["kind"] == "train":
        parts = run["split"]
        if run["recipe"]["regime"] == "frozen":
            said += f" It was taught on {count(parts['train'] + parts.get('val', 0), 'image')}"
            said += " (train and val together: the features are frozen and nothing is stopped early)"
        else:
            said += f" It was taught on {count(parts['train'], 'image')}; {parts.get('val', 0)} chose the epoch"
        said += f" and tested on {parts['test']}."
    return said


def _pixel_sizes(sizes: npt.NDArray[np.float64]) -> str:
    known = sizes[np.isfinite(sizes)]
    if not len(known):
        return (
            "pixel size: unknown for every image, so images of another scale are not recognised as such by their scale"
        )
    span = number(known.min()) if known.min() == known.max() else f"{number(known.min())} to {number(known.max())}"
    return f"pixel size: {span} µm, known for {len(known)} of {len(sizes)} images"


def _preprocessing(p: Mapping[str, Any]) -> str:
    sizing = "scaled to" if p["sizing"] == "resize" else "mirrored or cropped about the centre to"
    cropped = "cropped to the region of interest, " if p.get("region") == "auto" else ""
    return f"what the network sees: {p['colour']}, {cropped}{sizing} {p['height']} × {p['width']} pixels"


def _empty_note(test: Mapping[str, Any]) -> str:
    """Explain why a nearly faultless classifier has empty sets."""
    accuracy, empty = test["accuracy"].get("value"), test["sets"]["empty"].get("value")
    if not (is_number(accuracy) and is_number(empty) and empty > 0.02 and empty > 1 - accuracy):
        return ""
    return (
        "Most images with an empty set were named right: the aim leaves out a fixed share of images, and where the "
        "classifier is nearly always right those are merely its least sure ones. A smaller alpha refers fewer."
    )


def _risk_words(curve: Mapping[str, Any]) -> str:
    """Read one useful point off the risk-coverage curve."""
    coverage, risk = np.asarray(curve["coverage"], np.float64), np.asarray(curve["risk"], np.float64)
    if not len(risk) or risk[-1] == 0:
        return "Here no image is wrong."
    half = int(np.argmin(np.abs(coverage - 0.5)))
    some, every = percent(risk[half]), percent(risk[-1])
    return f"Of the surest {percent(coverage[half])} of images {some} are wrong, of all {every}."


def _attention(attention: Attention | None) -> dict[str, Any] | None:
    if attention is None:
        return None
    check = attention.check
    if check is None:
        words = f"Whether the maps depend on what was learned could not be checked ({attention.problem})."
    else:
        measured = (
            f"rank correlation with the maps of a shuffled classifier {check['classifier']['spearman']:.2f}, "
            f"of a shuffled network {check['network']['spearman']:.2f}; at most {check['limit']:g} is allowed; "
            f"n = {check['n']} images"
        )
        words = (
            f"Randomisation check passed: the maps change when what was learned is shuffled ({measured})."
            if check["passed"]
            else "Randomisation check failed: the maps look much the same when what was learned is shuffled, so they "
            f"show the image rather than the reasons ({measured}). Draw no conclusion from them."
        )
    return {"method": attention.method, "words": words, "believable": attention.believable}


def _provenance(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    made = run["provenance"]
    rows = [
        ("recipe", f"{run['recipe']['name']}, regime {run['recipe']['regime']}, seed {made['seed']}"),
        ("made", f"{made['created']}, in {run['seconds']:.0f} s"),
        ("corpus fingerprint", run["corpus"]["fingerprint"]),
        ("corpus folder", run["corpus"]["root"]),
    ]
    if bundle := run.get("bundle"):
        rows += [("bundle", bundle["file"]), ("bundle sha256", bundle["sha256"])]
    for network in run.get("networks", []):
        source = network["source"]
        rows += [
            ("backbone", f"{network['name']}, weights from {source.get('kind')} {source.get('detail', '')}".strip()),
            ("weights sha256", source.get("sha256") or "not recorded"),
        ]
    if not run.get("networks"):
        rows.append(("backbone", run["recipe"]["backbone"]["name"]))
    git = made.get("git")
    state = "not from a checkout" if not git else git["commit"] + (", with uncommitted changes" if git["dirty"] else "")
    fit = run.get("fit") or (run.get("fits") or [{}])[0]
    rows += [
        ("sorby", f"{made['versions']['sorby']}; git {state}"),
        (
            "platform",
            f"{made['platform']['system']} {made['platform']['machine']}, Python {made['platform']['python']}",
        ),
    ]
    if fit.get("runtime"):
        rows.append(("features computed by", fit["runtime"]))
    return [(name, str(value)) for name, value in rows]
