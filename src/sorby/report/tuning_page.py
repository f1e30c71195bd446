"""The page of a search: what was found, how the search went, which settings mattered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sorby.report.drawing import BLUE, GREEN, MUTED, ORANGE, new_figure, short, style, to_svg
from sorby.report.experiment_page import Column, ExperimentFacts, Figure, Table, experiment_page
from sorby.report.wording import number, percent

_SHOWN = 30  # trials of the table; the CSV holds all


@dataclass(frozen=True)
class TrialCurve:
    """One trial.

    Attributes
    ----------
    number : int
    state : str
        ``complete``, ``pruned`` or ``fail``.
    value : float or None
        Macro-F1; of a pruned trial the last one seen.
    steps : list of float
        Macro-F1 after each epoch, where there are epochs.
    settings : dict
    """

    number: int
    state: str
    value: float | None
    steps: list[float]
    settings: dict[str, Any]


def history_figure(trials: Sequence[TrialCurve]) -> str:
    """Draw the score of every trial in order, and the best of the completed ones so far."""
    done = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    pruned = [trial for trial in trials if trial.state == "pruned" and trial.value is not None]
    with style():
        figure, axes = new_figure(6.4, 3.0)
        axes.scatter([t.number for t in done], [float(t.value or 0) for t in done], s=18, color=BLUE, label="completed")
        if pruned:
            axes.scatter(
                [t.number for t in pruned], [float(t.value or 0) for t in pruned], s=18, marker="x", color=MUTED,
                label="ended early",
            )  # fmt: skip
        if done:
            best = np.maximum.accumulate([float(t.value or 0) for t in done])
            axes.step([t.number for t in done], best, where="post", color=ORANGE, linewidth=1.2, label="best so far")
            axes.legend(fontsize=8)
        axes.set(xlabel="trial", ylabel="macro-F1, inner validation")
        said = f"Macro-F1 of {len(done)} completed and {len(pruned)} shortened trials in order."
        return to_svg(figure, "history", said)


def curves_figure(trials: Sequence[TrialCurve], best: int) -> str:
    """Draw macro-F1 over the epochs of every trial, the best one in front."""
    with style():
        figure, axes = new_figure(6.4, 3.0)
        for trial in trials:
            if trial.steps:
                mine = trial.number == best
                axes.plot(
                    np.arange(1, len(trial.steps) + 1), trial.steps, color=ORANGE if mine else MUTED,
                    linewidth=1.6 if mine else 0.7, zorder=3 if mine else 1, label=f"trial {best}" if mine else None,
                    marker="." if len(trial.steps) == 1 else None,
                )  # fmt: skip
        axes.set(xlabel="epoch", ylabel="macro-F1, inner validation")
        axes.legend(fontsize=8)
        return to_svg(figure, "curves", f"Macro-F1 by epoch of {len(trials)} trials; trial {best} was best.")


def importance_figure(importance: Mapping[str, float]) -> str:
    """Draw each setting's share of the variance of the score."""
    names = sorted(importance, key=importance.__getitem__)
    with style():
        figure, axes = new_figure(6.4, 0.9 + 0.32 * len(names))
        axes.barh(range(len(names)), [importance[name] for name in names], color=GREEN, height=0.6)
        axes.set_yticks(range(len(names)), [short(name, 34) for name in names])
        axes.set(xlabel="share of the variance of macro-F1 (fANOVA)", xlim=(0, 1))
        axes.grid(visible=False, axis="y")
        first = names[-1] if names else "none"
        return to_svg(figure, "importance", f"Importance of {len(names)} settings; {first} mattered most.")


def tuning_page(
    name: str,
    trials: Sequence[TrialCurve],
    result: Mapping[str, Any],
    space: Mapping[str, str],
    provenance: Mapping[str, Any],
) -> str:
    """Return the page as one self-contained HTML file.

    Parameters
    ----------
    name : str
        Of the recipe that was searched.
    trials : sequence of TrialCurve
    result : mapping
        As ``sorby tune --json`` says it.
    space : mapping of str to str
        Limits of each setting, in words.
    provenance : mapping
    """
    best, inner = result["best"], result["inner"]
    states = result["states"]
    pruned, failed = states.get("pruned", 0), states.get("fail", 0)
    figures = [Figure(history_figure(trials), "Every trial in order. Crosses were ended early by successive halving.")]
    if any(len(trial.steps) > 1 for trial in trials):
        figures.append(Figure(curves_figure(trials, int(best["number"])), "Every training epoch by epoch."))
    if result["importance"]:
        caption = "How much of the differences between completed trials each setting explains, by itself."
        figures.append(Figure(importance_figure(result["importance"]), caption))
    ranked = sorted(
        (row for row in result["trials"] if row["value"] is not None),
        key=lambda row: (row["state"] != "complete", -row["value"]),
    )
    chosen = [{"name": key, "value": _said(value), "space": space[key]} for key, value in best["settings"].items()]
    facts = ExperimentFacts(
        title=f"Search for the settings of {name}",
        question="Which settings of the recipe serve best on the part of the images that may be looked at?",
        source="TPE and successive halving",
        answers=[
            f"trial {best['number']} of {len(trials)} is best: macro-F1 {percent(best['value'])} on inner validation",
            f"{states.get('complete', 0)} trials completed, {pruned} ended early, {failed} failed",
            f"written as a recipe: {best['recipe']}",
        ],
        tables=[
            Table(
                "The best settings",
                [Column("name", "setting"), Column("value", "value"), Column("space", "searched")],
                chosen,
            ),
            Table(
                f"Trials, the best first{f' ({_SHOWN} of {len(ranked)})' if len(ranked) > _SHOWN else ''}",
                [Column("number", "trial", "count"), Column("state", "state"), Column("value", "macro-F1", "share"),
                 Column("steps", "epochs", "count"), Column("seconds", "seconds", "number")],
                ranked[:_SHOWN],
            ),
        ],
        figures=figures,
        may=["Which of these settings is better here, and which matter little."],
        may_not=[
            "How good the best recipe is: its value is the largest of many on images that chose it. Train it with"
            " sorby train, which tests on the part that no trial has seen.",
            "Anything from cross-validating it on the same images: they chose it.",
        ],
        data=[
            f"{inner['train']} images to train, {inner['val']} to validate",
            f"{inner['held_out']} images not looked at",
            "specimens whole in every part" if result["grouped"] else "split by image: specimens are unknown",
        ],
        arms=[],
        warnings=result["warnings"],
        quarantined=result["quarantined"],
        provenance=provenance,
    )  # fmt: skip
    return experiment_page(facts)


def _said(value: Any) -> str:
    """Return a setting as text; a small number keeps its digits."""
    if not isinstance(value, float):
        return str(value)
    return number(value) if abs(value) >= 0.01 else f"{value:.3g}"
