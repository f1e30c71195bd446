"""How a verdict is shown: what it says, how sure it is, why a person should look, and how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from sorby.station.pages.elements import Cell, Text, box, facts, heading, link, mark, note, table, text
from sorby.station.pages.wording import STATE_TONES, figure, length, percent, plain, scale_words, when

_LAYERS = {
    "cam": "Where the model looked", "map": "Anomaly map", "mask": "Mask", "boxes": "Boxes",
    "measurement": "Measurement",
}  # fmt: skip
_SHOWN = 30
_STATES = {"clear": "no review needed", "waiting": "waits for review"}


def state_mark(inspection: Mapping[str, Any]) -> Text:
    """Show where an inspection stands."""
    state = inspection["state"]
    return mark(_STATES.get(state, state), STATE_TONES.get(state, "plain"))


def layers_of(inspection: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a viewer lays over the image of an inspection."""
    return [
        {
            "name": name,
            "title": _LAYERS.get(name, name.replace("_", " ").capitalize()),
            "url": f"/api/v1/pictures/{sha}",
            "strength": 90 if name in ("boxes", "measurement") else 50,
        }
        for name, sha in inspection["overlays"].items()
    ]


def show_label(inspection: Mapping[str, Any]) -> None:
    """Show the label and how sure the model is, as a list's cell does."""
    with box("stack tight"):
        text(inspection["label"], tag="strong")
        if inspection["confidence"] is not None:
            text(percent(inspection["confidence"], 1), "small soft", "span")


def show_verdict(inspection: Mapping[str, Any]) -> None:
    """Show an inspection in full beside its image."""
    with box("sheet stack", "section") as panel:
        panel.props["aria-label"] = "Verdict"
        with box("row ends"):
            heading(inspection["label"], 2).classes("number")
            state_mark(inspection)
        _bar(inspection["confidence"])
        for reason, meaning in inspection["meanings"].items():
            note(f"Referred: {meaning} ({reason})", "warn")
        said = inspection["verdict"]
        facts(
            [
                ("Confidence", percent(inspection["confidence"], 1)),
                ("Set", _set(inspection["set"])),
                ("Novelty", _novelty(inspection["novelty"])),
                ("Scale", scale_words(inspection["pixel_size_um"], inspection["scale_source"])),
                ("Field of view", length(_wide(inspection))),
                *_measured(said),
                ("Risk", f"{figure(inspection['risk'], 2)} (orders the queue; no probability)"),
                ("Model", lambda: link(inspection["bundle_name"], f"/models/{inspection['bundle']}")),
                ("When", when(inspection["at"])),
            ]
        )
        for remark in said.get("notes", []):
            note(plain(remark))
    _probabilities(said.get("probabilities"))
    _findings(said.get("findings", []), said.get("n_findings", 0))
    _decisions(inspection["decisions"])
    _trace(said.get("trace", {}))


def shapes_of(inspection: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the boxes of an inspection's findings, for a viewer; none where a layer shows them."""
    if "boxes" in inspection["overlays"]:
        return []
    return [
        {
            "kind": "box", "points": [each["x"], each["y"], each["x"] + each["w"], each["y"] + each["h"]],
            "label": str(each["label"]), "tone": "finding",
        }
        for each in inspection["verdict"].get("findings", [])
    ]  # fmt: skip


def _bar(share: float | None) -> None:
    if share is None:
        return
    bar = ui.element("progress")
    bar.props.update({"value": round(share, 4), "max": 1, "aria-label": f"Confidence {percent(share, 1)}"})


def _set(labels: list[Any]) -> str:
    return "{" + ", ".join(str(each) for each in labels) + "}" if labels else "none at the stated level"


def _novelty(value: float | None) -> str | None:
    if value is None:
        return None
    return f"p = {figure(value)}" + (" \u2013 unlike what the model was taught on" if value < 0.05 else "")


def _wide(inspection: Mapping[str, Any]) -> float | None:
    size = inspection["pixel_size_um"]
    return None if not size else size * inspection["width"]


def _measured(said: Mapping[str, Any]) -> list[tuple[str, Cell]]:
    """Return what was measured: lengths that the label stands for, a score and its threshold."""
    lengths = said.get("lengths_um", {})
    pairs: list[tuple[str, Cell]] = [
        (f"Length of {name}", " to ".join(length(each) if each is not None else "\u2026" for each in ends))
        for name, ends in lengths.items()
    ]
    if said.get("score") is not None:
        pairs.append(("Score", f"{said['score']:.4g}; threshold {said['threshold']:.4g}"))
    return pairs


def _worded(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')} {_worded(each)}" for name, each in value.items() if name != "name")
    if isinstance(value, list | tuple):
        return ", ".join(_worded(each) for each in value)
    return plain(value)


def _probabilities(found: Any) -> None:
    if not isinstance(found, Mapping) or not found:
        return
    pairs = sorted(((name, value) for name, value in found.items() if isinstance(value, int | float)),
                   key=lambda pair: -pair[1])  # fmt: skip
    with box("sheet stack tight", "section"):
        heading("Probabilities", 3)
        for name, value in pairs[:8]:
            with box("row"):
                text(name, "small", "span").style("min-width: 6em")
                bar = ui.element("progress").style("flex: 1; width: auto")
                bar.props.update({"value": round(value, 4), "max": 1, "aria-label": f"{name}: {percent(value, 1)}"})
                text(percent(value, 1), "small", "span").style("min-width: 4em; text-align: right")


def _findings(found: list[dict[str, Any]], all_of_them: int) -> None:
    if not found:
        return
    rest = f", the first {_SHOWN} shown" if len(found) > _SHOWN else ""
    table(
        ["Finding", "Score", "Place, pixels", "Area, \u00b5m\u00b2"],
        [
            [each["label"], figure(each["score"], 2), f"{each['x']:.0f}, {each['y']:.0f}",
             "" if each.get("area_um2") is None else f"{each['area_um2']:.4g}"]
            for each in found[:_SHOWN]
        ],
        caption=f"{max(all_of_them, len(found))} findings{rest}",
        figures=(1, 2, 3),
    )  # fmt: skip


def _decisions(found: list[dict[str, Any]]) -> None:
    for each in found:
        with box("sheet stack tight", "section"):
            with box("row ends"):
                mark(each["decision"], STATE_TONES.get(each["decision"], "plain"))
                text(when(each["at"]), "small soft", "span")
            words = f"{each['reviewer']}" + (f": {each['label']}" if each["label"] else "")
            text(words + (" \u2013 signed" if each["signed"] else ""))
            if each["reason"]:
                text(each["reason"], "prose small")


def _trace(found: Mapping[str, Any]) -> None:
    if not found:
        return
    with box("sheet", "details"):
        text("How this verdict came about", tag="summary")
        with box("stack tight").style("margin-top: 10px"):
            with box("small", "ol").style("padding-left: 1.3em"):
                for step in found.get("steps", []):
                    with ui.element("li"):
                        text(f"{step['step']}: {step['said']}", "prose", "span")
            rest = {name: value for name, value in found.items() if name != "steps" and value not in (None, "", [], {})}
            facts([(name.replace("_", " "), _worded(value)) for name, value in rest.items()]).classes("small")
