"""Studies for whoever organises them: round robins from design to results, and the list of all."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sorby.station import candidates, rounds, templates
from sorby.station.pages.bubbles import bubble_plot
from sorby.station.pages.chart import show_svg
from sorby.station.pages.elements import (
    Cell,
    box,
    button,
    choice,
    close,
    dialogue,
    field,
    heading,
    link,
    mark,
    note,
    table,
    text,
)
from sorby.station.pages.frame import Visitor, every, head, page, said
from sorby.station.pages.wording import figure, percent, when
from sorby.station.permissions import Permission

_TONES = {"draft": "plain", "open": "accent", "closed": "good"}
_KINDS = {"round-robin": "Round robin", "consensus": "Consensus session"}
_COEFFICIENTS = {
    "percent_agreement": "Agreement observed", "fleiss_kappa": "Fleiss\u2019 kappa", "gwet_ac1": "Gwet\u2019s AC1",
    "gwet_ac2": "Gwet\u2019s AC2", "krippendorff_alpha": "Krippendorff\u2019s alpha",
    "krippendorff_alpha_ordinal": "Krippendorff\u2019s alpha, ordinal", "conger_kappa": "Conger\u2019s kappa",
    "brennan_prediger": "Brennan\u2013Prediger", "kendall_w": "Kendall\u2019s W",
}  # fmt: skip
_LEVELS = {
    "class": "Class", "code": "Code", "size": "Size", "reduced": "Reduced classes",
    "merged": "Codes as labels have them", "verdict": "Accept or reject",
}  # fmt: skip


_LEGEND = (
    "Each disc is a code chosen for an image, its area and number how often. Green: correct; blue with a stroke: "
    "another one; a hollow green ring: the label, which nobody chose."
)


async def _all(visitor: Visitor) -> None:
    with head("Studies", "People rating the same images: how far they agree, and with what."):
        if visitor.may(Permission.ORGANISE):
            link("New round robin", "/studies/new", "button first")
            link("New consensus session", "/consensus/new", "button")
    found = await visitor.ask(rounds.list_studies)
    table(
        ["Study", "Kind", "State", "Images", "Raters", "Ratings", "Since"],
        [_row(each) for each in found],
        caption="Studies, the newest first",
        figures=(3, 4, 5),
        nothing="No study yet.",
    )


def _row(study: rounds.StudyFacts) -> list[Cell]:
    to = f"/consensus/{study.id}" if study.kind == "consensus" else f"/studies/{study.id}"
    return [
        lambda: link(study.name, to), _KINDS.get(study.kind, study.kind),
        lambda: mark(study.state, _TONES.get(study.state, "plain")), study.images or "", study.raters,
        f"{study.ratings} of {study.expected}" if study.expected else study.ratings,
        f"{when(study.created_at)}, {study.created_by}",
    ]  # fmt: skip


async def _new(visitor: Visitor) -> None:
    with head("New round robin", "Everybody rates the same images, blind, in an order of their own.",
              ("Studies", "/studies")):  # fmt: skip
        pass
    known = [each for each in await visitor.ask(templates.list_templates) if each.kind == "round-robin"]
    with box("sheet stack"):
        name = field("Name")
        scheme = choice("Scheme", {each.name: each.name + (", locked" if each.locked_by else "") for each in known})
        raters = field("Raters, one a line", kind="prose", rows=5)
        with box("filters"):
            number = field("Images", "20", "number")
            repeats = field("of these shown twice", "4", "number")
            share = field("Share that the model got wrong", "", "number", step="0.05", hint="0 to 1; or empty")
            seed = field("Seed", "0", "number", hint="the same seed, the same design")
        offer = text("", "soft").props("role=status")

        async def count() -> None:
            found = await visitor.ask(candidates.labelled_images, await _scheme(visitor, scheme.value))
            offer.set_text(
                f"{len(found)} images have a label of this scheme that a person stated: reviewed verdicts, and marks "
                "on whole images. The study draws from these."
            )

        scheme.on_value_change(lambda _event: visitor.does(count)())

        async def make() -> None:
            names = [line.strip() for line in raters.words.splitlines() if line.strip()]
            chosen = await visitor.ask(candidates.labelled_images, await _scheme(visitor, scheme.value))
            made = await visitor.ask(
                rounds.plan_round, name.words, scheme.value, chosen, names, n=int(number.number or 0) or None,
                difficult_share=share.number, repeats=int(repeats.number or 0), seed=int(seed.number or 0),
            )  # fmt: skip
            visitor.go(f"/studies/{made.id}")

        with box("row"):
            button("Design the study", visitor.does(make), "first")
        await count()


async def _scheme(visitor: Visitor, name: str) -> Any:
    return await visitor.ask(templates.scheme_named, name)


async def _one(visitor: Visitor) -> None:
    study_id = visitor.part("study")
    study = await visitor.ask(rounds.get_study, study_id)
    organises = visitor.may(Permission.ORGANISE)
    with head(study.name, f"{study.images} images in {study.showings} showings.", ("Studies", "/studies")):
        mark(study.state, _TONES.get(study.state, "plain"))
        if organises and study.state == "draft":
            button("Open the study", visitor.does(_set, visitor, study_id, "open"), "first")
        if organises and study.state == "open":
            button("Close the study", visitor.does(_ask_close, visitor, study_id))
        if organises and study.state != "closed":
            button("Invite everybody", visitor.does(_ask_invite, visitor, study_id, None))
    if not (organises or visitor.may(Permission.READ_RECORD)):
        note("Who organises the study sees its progress and its results.")
        return
    place = box("stack")
    shown: list[Any] = []

    async def look(by: Visitor = visitor) -> None:
        found = await by.ask(rounds.seats, study_id)
        if found == shown:
            return
        shown[:] = found
        place.clear()
        with place:
            _progress(visitor, study, found)

    await look()
    every(3.0, look, visitor)

    async def evaluate() -> None:
        found = await visitor.ask(rounds.round_results, study_id)
        results.clear()
        with results:
            show_results(found)

    with box("row"):
        button("Show the results so far" if study.state != "closed" else "Show the results", visitor.does(evaluate))
    results = box("stack wide-gap")
    if study.ratings and study.state == "closed":
        await evaluate()


def _progress(visitor: Visitor, study: rounds.StudyFacts, found: list[rounds.Seat]) -> None:
    done = sum(seat.done for seat in found)
    with box("sheet stack tight"):
        bar = box(tag="progress")
        bar.props.update({"value": done, "max": max(1, study.expected), "aria-label": "Ratings given"})
        ready = sum(seat.done >= study.showings for seat in found)
        text(f"{done} of {study.expected} ratings; {ready} raters are done", "soft")
    table(
        ["Rater", "Experience", "Rates", "Rated", "Last", ""],
        [_seat(visitor, study, seat) for seat in found],
        caption="Raters",
        figures=(3,),
        nothing="Nobody is invited yet.",
    )


def _seat(visitor: Visitor, study: rounds.StudyFacts, seat: rounds.Seat) -> list[Cell]:
    def offer() -> None:
        if visitor.may(Permission.ORGANISE) and study.state != "closed":
            button("New link", visitor.does(_ask_invite, visitor, study.id, [seat.name]), "small")

    years = seat.profile.get("experience_years")
    return [
        seat.name, "" if years is None else f"{years:g} years", str(seat.profile.get("frequency", "")),
        f"{seat.done} of {study.showings}", when(seat.last_at) if seat.last_at else "not begun", offer,
    ]  # fmt: skip


async def _set(visitor: Visitor, study_id: str, state: str) -> None:
    await visitor.ask(rounds.set_state, study_id, state)
    visitor.reload()


async def _ask_close(visitor: Visitor, study_id: str) -> None:
    with dialogue("Close the study") as shown:
        text("Nobody can rate any more, and it cannot be opened again.")
        with box("row"):
            button("Close the study", visitor.does(_set, visitor, study_id, "closed"), "bad")
            button("Cancel", lambda: close(shown))


async def _ask_invite(visitor: Visitor, study_id: str, names: list[str] | None) -> None:
    with dialogue("Make invitation links") as shown:
        text("Links that were made before stop working; ratings stay.")

        async def make() -> None:
            made = await visitor.ask(rounds.invite, study_id, names)
            close(shown)
            _tell_links(made)

        with box("row"):
            button("Make links", visitor.does(make), "first")
            button("Cancel", lambda: close(shown))


def _tell_links(made: list[rounds.Invitation]) -> None:
    with dialogue("Invitation links") as shown:
        note("They are shown once. Whoever has a link rates under that name: send each to its rater alone.", "warn")
        with box("stack tight"):
            for each in made:
                with box("stack tight"):
                    text(each.name, tag="strong")
                    text(each.url, "mono", "code").props["data-rater"] = each.name
        with box("row"):
            button("Done", lambda: close(shown), "first")
    said("The links are made.")


# -- results ----------------------------------------------------------------------------------------------


def show_results(found: dict[str, Any]) -> None:
    """Show what a round robin came to."""
    for warning in found["warnings"]:
        note(str(warning), "warn")
    _accuracy(found["accuracy"])
    _agreement(found["agreement"])
    if found["chosen"]["items"]:
        with box("sheet stack", "section"):
            heading("Who chose which code")
            text(_LEGEND, "small soft")
            show_svg(bubble_plot(found["chosen"]))
    _majority(found["majority"])
    _raters(found["raters"])
    _repeatability(found["repeatability"])
    # A model that names classes alone is no appraiser of codes.
    coded = found["model"] is not None and bool(
        set(found["model"]["verdicts"].values()) & set(found["chosen"]["codes"])
    )
    _attributes(found["attribute_agreement"], None if found["model"] is None or coded else found["model"]["name"])
    _model(found["model"], coded=coded)


def estimate(found: Any, *, share: bool = True) -> str:
    """Write a value with its interval and n."""
    if not isinstance(found, dict) or found.get("value") is None:
        return "\u2013"
    write: Callable[[float], str] = partial(percent, digits=1) if share else figure
    ends = found.get("ci95")
    inside = f" ({write(ends[0])} to {write(ends[1])})" if ends and None not in ends else ""
    return f"{write(found['value'])}{inside}, n\u00a0=\u00a0{found['n']}"


def _accuracy(found: dict[str, Any]) -> None:
    rows = [
        [_LEVELS.get(level, level.replace("_", " ").capitalize()), estimate(value)]
        for level, value in found.items()
        if isinstance(value, dict) and "value" in value
    ]
    if rows:
        table(["Correct", "Share, 95 % interval"], rows, caption="Accuracy against the labels")


def _agreement(found: dict[str, Any]) -> None:
    names = [name for name in _COEFFICIENTS if any(name in level for level in found.values())]
    table(
        ["Coefficient", *(_LEVELS.get(level, level) for level in found)],
        [
            [_COEFFICIENTS[name], *(estimate(level.get(name), share=name == "percent_agreement")
                                    for level in found.values())]
            for name in names
        ],
        caption="Agreement among raters, first showings",
    )  # fmt: skip
    for level, values in found.items():
        if "not_defined" in values:
            note(f"{_LEVELS.get(level, level)}: {values['not_defined']['note']}")


def _majority(found: dict[str, Any]) -> None:
    names = ("equal", "adjacent", "same_class", "other_class", "tied", "of")
    table(
        ["Majority against the label", *(name.replace("_", " ").capitalize() for name in names)],
        [[_LEVELS.get(level, level), *(values[name] for name in names)] for level, values in found.items()],
        figures=range(1, 7),
        nothing="No image has a label.",
    )


def _raters(found: list[dict[str, Any]]) -> None:
    table(
        ["Rater", "Rates", "Class", "Code", "Steps off", "Seconds an image"],
        [
            [each["rater"], _who(each), estimate(each.get("class")), estimate(each.get("code")),
             figure(each.get("mean_steps"), 2), figure(each.get("median_seconds"), 0)]
            for each in found
        ],
        caption="Each rater",
        figures=(4, 5),
    )  # fmt: skip


def _who(rater: dict[str, Any]) -> str:
    words = [str(rater["profile"].get("frequency", "")), "simulated" if rater["simulated"] else ""]
    return ", ".join(word for word in words if word)


def _repeatability(found: dict[str, Any] | None) -> None:
    if not found:
        return
    rows = [[_LEVELS.get(level, level), estimate(values["pooled"]), figure(values["kappa"])]
            for level, values in found.items() if isinstance(values, dict)]  # fmt: skip
    if rows:
        table(["Same answer again", "Share, 95 % interval", "Kappa"], rows,
              caption=f"Raters with themselves, {found['items']} images shown twice", figures=(2,))  # fmt: skip
    if found.get("note"):
        note(str(found["note"]))


def _attributes(found: dict[str, Any], of_classes: str | None) -> None:
    """Show the study in the terms of measurement systems analysis; one appraiser may know classes alone."""
    for level, values in found.items():
        once = values["once"]
        table(
            ["Appraiser", "Agrees with the standard", "Rule of thumb", "Kappa", "Misses", "False alarms"],
            [
                [each["name"], estimate(each["with_standard"]), str(each["with_standard"]["band"] or ""),
                 estimate(each["kappa"], share=False), estimate(each["miss_rate"]), estimate(each["false_alarm_rate"])]
                for each in once["appraisers"]
                if level == "class" or each["name"] != of_classes
            ],
            caption=f"Attribute agreement: {_LEVELS.get(level, level).lower()}",
        )  # fmt: skip
        text(f"All agree with each other: {estimate(once['between'])}; all with the standard: "
             f"{estimate(once['all_with_standard'])}. Bands: {once['limits']['source']}.", "small soft")  # fmt: skip


def _model(found: dict[str, Any] | None, *, coded: bool) -> None:
    """Show the model as one more appraiser."""
    if found is None:
        return
    levels = {
        level: values
        for level, values in found.items()
        if isinstance(values, dict) and "accuracy" in values and (coded or level == "class")
    }
    table(
        ["Model beside the people", "Correct", "Over the panel", "Better than", "Worse than"],
        [
            [_LEVELS.get(level, level.capitalize()), estimate(each["accuracy"]), estimate(each["over_panel"]),
             f"{each['better_than']} of {each['raters']}", f"{each['worse_than']} of {each['raters']}"]
            for level, each in levels.items()
        ],
        nothing="The model said nothing of these images.",
    )  # fmt: skip
    for warning in found["warnings"]:
        note(str(warning), "warn")


def put() -> None:
    """Put the pages on the station."""
    page("/studies", "Studies", Permission.LOOK)(_all)
    page("/studies/new", "New round robin", Permission.ORGANISE)(_new)
    page("/studies/{study}", "Round robin", Permission.LOOK)(_one)
