"""The page of generated images: beside the originals they are most like, their distances, copies, gate and lineage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sorby.report import synthesis_figures as figures
from sorby.report.experiment_page import Column, Figure, Table, written
from sorby.report.page import drawing, render
from sorby.report.thumbnails import Picture
from sorby.report.wording import count, number

_FILES = 20


@dataclass(frozen=True)
class Beside:
    """A generated image and the original that it is most like.

    Attributes
    ----------
    generated, original : Picture
    likeness : float
        Highest correlation of a window of it with the original.
    name : str
        Of the original.
    accepted : bool
    reasons : tuple of str
    decision : str
    """

    generated: Picture
    original: Picture
    likeness: float
    name: str
    accepted: bool
    reasons: tuple[str, ...] = ()
    decision: str = ""


@dataclass(frozen=True)
class SynthesisFacts:
    """Everything the page says.

    Attributes
    ----------
    title, source : str
    result : mapping
        Of the command, see `sorby.workflow.synthesis`.
    shown : mapping of str to sequence of Beside
        By class: the first ones, and those most like an original.
    meanings : mapping of str to str
        Of the gate's codes.
    lineage : sequence of mapping
        ``label``, ``n``, ``ancestors``, ``parents`` (counts), ``names``.
    history : sequence of mapping
        Of the teaching; empty where it is not known.
    provenance : mapping
    """

    title: str
    source: str
    result: Mapping[str, Any]
    shown: Mapping[str, Sequence[Beside]]
    meanings: Mapping[str, str]
    lineage: Sequence[Mapping[str, Any]]
    history: Sequence[Mapping[str, Any]] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


def synthesis_page(facts: SynthesisFacts) -> str:
    """Return the page as one self-contained HTML file.

    Parameters
    ----------
    facts : SynthesisFacts
    """
    return render(
        "synthesis.html",
        title=facts.title,
        sorby_version=facts.provenance["versions"]["sorby"],
        created=str(facts.provenance["created"])[:16].replace("T", " ") + " UTC",
        facts=facts,
        result=facts.result,
        sentences=_sentences(facts.result),
        drawn=[{"svg": drawing(each.svg), "caption": each.caption, "least": each.least_px} for each in _figures(facts)],
        tables=[written(table) for table in (_distances(facts.result), _likeness(facts.result), _copies(facts.result))],
        gate=written(_gate(facts)),
        lineage=written(_lineage(facts.lineage)),
        quarantined=facts.result["quarantined"][:_FILES],
    )


def _sentences(result: Mapping[str, Any]) -> list[str]:
    """Say first what may be used, then what it is worth."""
    total = result["accepted"] + result["rejected"]
    lines = [f"{result['accepted']} of {count(total, 'image')} may be used, {result['rejected']} are refused."]
    lines.append(
        f"In {result['copies']} of them a piece of an original was found."
        if result["copies"]
        else "In none of them a piece of an original was found, as far as that can be looked for."
    )
    if result["kid"] is not None:
        said = f"Their kernel distance from the real images is {number(result['kid'])}"
        if result["floor"] is not None:
            said += f"; halves of the real images are {number(result['floor']['value'])} apart"
        if result["ceiling"] is not None:
            said += f", and what the generator drew before it was taught {number(result['ceiling']['value'])}"
        lines.append(f"{said}.")
    if result.get("place") is not None:
        lines.append(f"On the way from floor (0) to ceiling (1) that is {result['place']:.2f}.")
    return lines


def _figures(facts: SynthesisFacts) -> list[Figure]:
    result, found = facts.result, []
    rows = [(label, each["floor"], each["kid"], each["ceiling"]) for label, each in result["classes"].items()]
    if any(kid is not None for _, _, kid, _ in rows):
        caption = (
            "Distances of each class. The floor's bar is the range of random halvings by specimen; the other bars are"
            " jackknife intervals over specimens and parents. The axis is linear as far as the floor reaches."
        )
        found.append(Figure(figures.between(rows, "between"), caption))
    if facts.history:
        keys = {"real_accuracy": "originals told right", "generated_accuracy": "generated told right"}
        caption = (
            "What the discriminator told right while it was taught. Near one half it cannot tell them apart; near"
            " 100 % it can, and then images are judged by what it has learnt by heart."
        )
        found.append(Figure(figures.course(facts.history, keys, "told right", "accuracy", shares=True), caption))
        keys = {"generator_loss": "generator", "discriminator_loss": "discriminator"}
        caption = "Losses of the two networks. They are opponents, so neither need fall."
        found.append(Figure(figures.course(facts.history, keys, "loss", "losses", shares=False), caption))
    spectra = {label: each["spectrum"] for label, each in result["classes"].items()}
    found.append(Figure(figures.spectra(spectra, "spectra"), "Texture: mean power over spatial frequency."))
    return found


def _distances(result: Mapping[str, Any]) -> Table:
    columns = [
        Column("label", "Class"), Column("kid", "KID", "number"), Column("floor", "Floor", "number"),
        Column("ceiling", "Ceiling", "number"), Column("unseen.kid", "KID, originals not taught from", "number"),
        Column("fid", "FID", "number"), Column("fid_floor", "FID of halves", "number"),
        Column("precision", "Precision", "share"), Column("recall", "Recall", "share"),
        Column("coverage", "Coverage", "share"), Column("n_real", "Real", "count"),
        Column("n_generated", "Generated", "count"),
    ]  # fmt: skip
    rows = [{"label": label, **each} for label, each in result["classes"].items()]
    together = {name: result[name] for name in ("floor", "ceiling", "fid", "fid_floor", "precision", "recall",
                                                "coverage", "n_real", "n_generated")}  # fmt: skip
    kid = None if result["kid"] is None else {"value": result["kid"], "ci95": result["ci95"]["kid"]}
    if len(rows) > 1:
        rows.append({"label": "all together", **together, "kid": kid})
    return Table(f"Distances in features ({result['features']})", columns, rows)


def _likeness(result: Mapping[str, Any]) -> Table:
    columns = [Column("label", "Class")]
    for name, title in (("ssim", "SSIM"), ("intensity", "Intensity, RMS"), ("gradient", "Gradients")):
        columns += [Column(f"likeness.{name}.generated", title, "number"),
                    Column(f"likeness.{name}.real", "between reals", "number")]  # fmt: skip
    columns += [Column("spectrum.difference", "Spectrum", "number"),
                Column("spectrum.between_real.median", "between reals", "number")]  # fmt: skip
    rows = [{"label": label, **each} for label, each in result["classes"].items()]
    return Table("Each image beside the real one nearest in features; reals beside one of another specimen; medians",
                 columns, rows)  # fmt: skip


def _copies(result: Mapping[str, Any]) -> Table:
    columns = [
        Column("label", "Class"), Column("memorisation.copies", "Copies", "count"),
        Column("memorisation.n", "Of", "count"), Column("memorisation.median_likeness", "Median likeness", "number"),
        Column("memorisation.most_alike", "Most alike", "number"),
        Column("memorisation.among_originals", "Originals among each other", "number"),
        Column("memorisation.threshold", "Called a copy from", "number"),
        Column("nearest_distance", "Distance to the nearest, reals 1", "number"),
    ]  # fmt: skip
    rows = [{"label": label, **each} for label, each in result["classes"].items()]
    return Table("Search for pieces of originals: highest correlation of a window, flipped and turned, at any place",
                 columns, rows)  # fmt: skip


def _gate(facts: SynthesisFacts) -> Table:
    columns = [Column("code", "Code"), Column("meaning", "Meaning")]
    columns += [Column(f"at.{k}", label, "count") for k, label in enumerate(facts.result["classes"])]
    rows = [
        {"code": code, "meaning": meaning,
         "at": {str(k): each["reasons"][code] for k, each in enumerate(facts.result["classes"].values())}}
        for code, meaning in facts.meanings.items()
    ]  # fmt: skip
    return Table("Why the gate refuses; an image may have several reasons", columns, rows)


def _lineage(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = [
        Column("label", "Class"), Column("n", "Images", "count"), Column("parents", "Parents", "count"),
        Column("ancestors", "Specimens they descend from", "count"), Column("names", "Which"),
    ]  # fmt: skip
    return Table("What the images descend from; all of these stay in one part of every split", columns, rows)
