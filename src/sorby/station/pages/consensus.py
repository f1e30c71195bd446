"""Consensus sessions: three questions on where a model looked, alone first, then together."""

from __future__ import annotations

from typing import Any

from sorby.station import candidates, consensus, images, inspections, rounds
from sorby.station.pages.elements import (
    Cell,
    Field,
    box,
    button,
    choice,
    facts,
    field,
    heading,
    link,
    mark,
    note,
    table,
    text,
    tick,
)
from sorby.station.pages.frame import Visitor, head, page, said
from sorby.station.pages.specimens import tiles_of
from sorby.station.pages.studies import estimate
from sorby.station.pages.verdict import layers_of
from sorby.station.pages.viewer import Viewer, tiled
from sorby.station.pages.wording import percent, scale_words
from sorby.station.permissions import Permission

_REPLIES = {"": "Choose", "yes": "Yes", "no": "No", "unclear": "Unclear"}


async def _new(visitor: Visitor) -> None:
    with head("New consensus session", "Experts say alone, then together, whether the model looked at what matters.",
              ("Studies", "/studies")):  # fmt: skip
        pass
    known = [each["specimen"] for each in await visitor.ask(images.specimens)]
    with box("sheet stack"):
        name = field("Name")
        experts = field("Experts, names of accounts, one a line", kind="prose", rows=4,
                        hint="reviewers and supervisors; two or more")  # fmt: skip
        chosen = field("Specimens, one a line", kind="prose", rows=8,
                       hint="behind a comma its true label, where it is known: S-17, machining",
                       value="\n".join(known[:12]))  # fmt: skip

        async def make() -> None:
            lines = [line.rsplit(",", 1) for line in chosen.words.splitlines() if line.strip()]
            names = [line[0].strip() for line in lines]
            labels = [line[1].strip() if len(line) > 1 else "" for line in lines]
            found = await visitor.ask(candidates.cases, names, labels)
            people = [line.strip() for line in experts.words.splitlines() if line.strip()]
            made = await visitor.ask(consensus.create_session, name.words, found, people)
            visitor.go(f"/consensus/{made.id}")

        with box("row"):
            button("Prepare the session", visitor.does(make), "first")


async def _one(visitor: Visitor) -> None:
    study_id = visitor.part("study")
    study = await visitor.ask(rounds.get_study, study_id)
    found = await visitor.ask(consensus.list_cases, study_id)
    with head(study.name, "Alone first; when all have judged a case, together.", ("Studies", "/studies")):
        mark(study.state, "accent" if study.state == "open" else "plain")
        following = next((case for case in found if not case["mine"] and visitor.may(Permission.TAKE_PART)), None)
        if following is not None:
            link("Next case", f"/consensus/{study_id}/case/{found.index(following) + 1}", "button first")
    table(
        ["Case", "You", "Together", "Waits for"],
        [_row(study_id, number, case) for number, case in enumerate(found, 1)],
        caption="Cases",
    )

    async def evaluate() -> None:
        told = await visitor.ask(consensus.consensus_results, study_id)
        results.clear()
        with results:
            _results(told)

    with box("row"):
        button("Show the results so far", visitor.does(evaluate))
    results = box("stack")


def _row(study_id: str, number: int, case: dict[str, Any]) -> list[Cell]:
    def together() -> None:
        if case["closed"]:
            mark("judged together", "good")
        elif not case["waiting_for"]:
            mark("ready to be judged together", "warn")

    return [
        lambda: link(case["name"], f"/consensus/{study_id}/case/{number}"),
        lambda: mark("judged", "good") if case["mine"] else mark("not judged"), together,
        ", ".join(case["waiting_for"]),
    ]  # fmt: skip


class Questions:
    """The three questions, the cues and a comment, to be filled in."""

    def __init__(self, sheet: consensus.Sheet, own: dict[str, Any] | None = None) -> None:
        self.answers: dict[str, Field] = {}
        for number, (name, words) in enumerate(sheet.questions.items(), 1):
            given = "" if own is None else own["answers"][name]
            self.answers[name] = choice(f"{number}. {words}", _REPLIES, given)
        with box("field", "fieldset"):
            text("Cues seen in the highlighted regions", "label", "legend")
            with box("row"):
                self.cues = {cue: tick(cue, own is not None and cue in own["cues"]) for cue in sheet.cues}
        self.comment = field("Comment", kind="prose")

    def told(self) -> tuple[dict[str, str], list[str], str]:
        """Return answers, cues and comment."""
        answers = {name: str(each.value) for name, each in self.answers.items() if each.value}
        return answers, [cue for cue, seen in self.cues.items() if seen.value], self.comment.words


async def _case(visitor: Visitor) -> None:
    study_id, number = visitor.part("study"), int(visitor.part("number"))
    cases = await visitor.ask(consensus.list_cases, study_id)
    name = cases[number - 1]["name"] if 0 < number <= len(cases) else ""
    sheet = await visitor.ask(consensus.sheet, study_id, name)
    study = await visitor.ask(rounds.get_study, study_id)
    with head(name, f"Case {number} of {len(cases)}", ("Studies", "/studies"), (study.name, f"/consensus/{study_id}")):
        if number > 1:
            link("Previous", f"/consensus/{study_id}/case/{number - 1}", "button small")
        if number < len(cases):
            link("Next", f"/consensus/{study_id}/case/{number + 1}", "button small")
    with box("beside"):
        with box("stack"):
            for view in sheet.case["views"]:
                await _view(visitor, view)
        with box("stack"):
            _facts(sheet.case)
            await _judging(visitor, study_id, sheet)


async def _view(visitor: Visitor, view: dict[str, Any]) -> None:
    image = await visitor.ask(images.get, view["sha256"])
    found = (await visitor.ask(inspections.listed, image=view["sha256"]))["inspections"]
    of = next((each for each in found if view["map_sha256"] and view["map_sha256"] in each["overlays"].values()), None)
    with box("stack tight"):
        power = f"{view['magnification']:g}\u00d7, " if view["magnification"] else ""
        words = f"{power}{scale_words(image['pixel_size_um'], image['scale_source'])}"
        if view["predicted"]:
            words += f"; this image alone: {view['predicted']} {percent(view['confidence'])}"
        text(words, "small soft")
        Viewer(
            tiled(tiles_of(image["sha256"]), image["width"], image["height"]), f"{image['name']}, {words}",
            image["pixel_size_um"], layers=layers_of(of) if of else [], low=True,
        )  # fmt: skip


def _facts(case: dict[str, Any]) -> None:
    right = None if not case["label"] else case["predicted"] == case["label"]
    with box("sheet stack tight", "section"):
        facts(
            [
                ("The model says", f"{case['predicted']}, {percent(case['confidence'], 1)}"),
                ("It is", case["label"] or "not known"),
                ("So the model is", None if right is None else lambda: mark(*(("right", "good") if right else
                                                                             ("wrong", "bad")))),
            ]
        )  # fmt: skip


async def _judging(visitor: Visitor, study_id: str, sheet: consensus.Sheet) -> None:
    name = sheet.case["name"]
    me = visitor.actor.name
    takes_part = me in sheet.waiting_for or sheet.own is not None
    if sheet.joint is not None:
        _joint(sheet)
    elif me in sheet.waiting_for:
        with box("sheet stack", "section"):
            heading("Alone")
            text("What you say stays as it is. Nobody sees it before all have judged.", "small soft")
            questions = Questions(sheet)

            async def alone() -> None:
                await visitor.ask(consensus.judge_alone, study_id, name, *questions.told())
                said("Kept.")
                visitor.reload()

            button("Keep my judgement", visitor.does(alone), "first")
    elif sheet.waiting_for:
        note(f"Waiting for {', '.join(sheet.waiting_for)} to judge this case alone.")
    elif takes_part and visitor.may(Permission.TAKE_PART):
        _together(visitor, study_id, sheet)
    _alone(sheet)


def _together(visitor: Visitor, study_id: str, sheet: consensus.Sheet) -> None:
    name = sheet.case["name"]
    with box("sheet stack", "section"):
        heading("Together")
        text("All have judged. Talk it over, then one of you writes down the joint answer and signs.", "small soft")
        questions = Questions(sheet)
        with box("stack tight", "details"):
            text("Somebody dissents", tag="summary")
            who = choice("Who", {"": "Nobody", **{each["rater"]: each["rater"] for each in sheet.alone}})
            what = choice("On", {key: words for key, words in sheet.questions.items()})
            reply = choice("Says", {key: words for key, words in _REPLIES.items() if key})
            reason = field("Reason of the dissent", kind="prose")
        password = field("Your password, to sign as reviewed", kind="password", complete="current-password")

        async def together() -> None:
            dissent = [] if not who.value else [
                {"rater": who.value, "question": what.value, "reply": reply.value, "reason": reason.words}
            ]  # fmt: skip
            await visitor.ask(consensus.judge_together, study_id, name, *questions.told(), dissent, str(password.value))
            said("The joint answer is kept and signed.")
            visitor.reload()

        button("Sign the joint answer", visitor.does(together), "first")


def _joint(sheet: consensus.Sheet) -> None:
    assert sheet.joint is not None
    judgement, dissent = sheet.joint["judgement"], sheet.joint["dissent"]
    with box("sheet stack tight", "section"):
        with box("row ends"):
            heading("Together")
            mark("with dissent" if dissent else "unanimous", "warn" if dissent else "good")
        facts([(words, judgement["answers"][key]) for key, words in sheet.questions.items()])
        facts([("Cues", ", ".join(judgement["cues"]) or "none"), ("Comment", judgement["comment"])])
        for each in dissent:
            note(f"{each['rater']} says {each['reply']} to \u201c{sheet.questions[each['question']]}\u201d: "
                 f"{each['reason']}", "warn")  # fmt: skip


def _alone(sheet: consensus.Sheet) -> None:
    if sheet.alone:
        table(
            ["Alone", *(f"Question {number}" for number in range(1, len(sheet.questions) + 1)), "Cues", "Comment"],
            [
                [each["rater"], *(each["answers"][key] for key in sheet.questions), ", ".join(each["cues"]),
                 each["comment"]]
                for each in sheet.alone
            ],
        )  # fmt: skip


def _results(found: dict[str, Any]) -> None:
    cases = found["cases"]
    with box("sheet stack", "section"):
        heading("Results so far")
        facts(
            [
                ("Cases", f"{cases['all']}; judged alone by all {cases['judged_by_all']}, together {cases['closed']}"),
                ("Unanimous", estimate(found["unanimous"]) if cases["closed"] else "no case is closed yet"),
                ("Changed by talking", f"{found['changed']} joint answers that most had not given alone"),
                ("Cues", ", ".join(f"{cue} {count}" for cue, count in found["cues"].items() if count)),
            ]
        )
    table(
        ["Question", "Alone: yes / no / unclear", "Together", "Fleiss\u2019 kappa", "Krippendorff\u2019s alpha"],
        [
            [each["words"], " / ".join(str(each["alone"][reply]) for reply in ("yes", "no", "unclear")),
             " / ".join(str(each["joint"][reply]) for reply in ("yes", "no", "unclear")),
             estimate(each["agreement"].get("fleiss_kappa"), share=False),
             estimate(each["agreement"].get("krippendorff_alpha"), share=False)]
            for each in found["questions"].values()
        ],
        caption="Agreement of the answers given alone",
    )  # fmt: skip
    table(
        ["Case", "Model said", "Confidence", "Together", "Cues seen", "Comment"],
        [
            [each["case"], each["predicted"], percent(each["confidence"]),
             "unanimous" if each["unanimous"] else "with dissent", ", ".join(each["cues"]), each["comment"]]
            for each in found["wrong_reasons"]
        ],
        caption="Register: right for the wrong reason",
        nothing="No verdict was found to be right for the wrong reason.",
    )  # fmt: skip


def put() -> None:
    """Put the pages on the station."""
    page("/consensus/new", "New consensus session", Permission.ORGANISE)(_new)
    page("/consensus/{study}", "Consensus session", Permission.LOOK)(_one)
    page("/consensus/{study}/case/{number}", "Case", Permission.LOOK)(_case)
