"""What a rater may say of an image: a class, then a code from the range of the class chosen, then how it was judged.

The range belongs to the class that the rater *chose*, not to the one that is true: who takes bainite for martensite
grades it on the scale of martensite. A scheme is a YAML file, so a house writes its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sorby.errors import InputError
from sorby.recipe_files import dump_recipe, read_recipe, recipe_folder, recipe_names

FOLDER = "study"
CANNOT_RATE = "cannot_rate"
_BOX = re.compile(r"box:(0?\.\d+|[01](?:\.0*)?)(?:,(0?\.\d+|[01](?:\.0*)?)){3}")
_Name = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[^\s|,;\x00-\x1f][^|,;\x00-\x1f]*$")]


@dataclass(frozen=True)
class Answer:
    """What a rater says of one showing of an image.

    Attributes
    ----------
    class_name : str
        Class chosen; empty where the image cannot be rated.
    code : str
        Code from the range of that class.
    criterion : str
        How it was judged, e.g. by the average or by the extremes; empty where the scheme does not ask.
    region : str
        Which part of the image decided: a name of the scheme, or a rectangle ``box:x,y,w,h`` in shares of the image.
    flags : tuple of str
        Remarks of the scheme, such as ``over_etched``; ``cannot_rate`` stands in the place of class and code.
    comment : str
        Free text.
    """

    class_name: str = ""
    code: str = ""
    criterion: str = ""
    region: str = ""
    flags: tuple[str, ...] = ()
    comment: str = ""

    @property
    def empty(self) -> bool:
        """Whether nothing was said at all."""
        return not (self.class_name or self.code or self.flags or self.comment)


class Choice(BaseModel):
    """One thing to choose, with the words that raters see."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: _Name
    title: str = ""
    hint: str = ""

    @property
    def words(self) -> str:
        """What a rater reads."""
        return self.title or self.name.replace("_", " ")


class ClassRange(Choice):
    """A class and the codes that may be given once it is chosen.

    Attributes
    ----------
    codes : list of str
        From one end of the scale to the other; without any the class is the code.
    """

    codes: tuple[_Name, ...] = ()


class Scheme(BaseModel):
    """What raters are asked.

    Attributes
    ----------
    name, title, question : str
    classes : tuple of ClassRange
    ordered : bool
        Whether codes within a class stand in order, so that near misses are near.
    criteria, regions, flags : tuple of Choice
        What else may be said; none where empty. Of criteria and regions one is chosen, of flags any number.
    criterion_required : bool
    draw_region : bool
        Whether a rectangle may be given in the place of a named region.
    comment_chars : int
        Longest comment; 0 for none.
    reduced : mapping of str to str
        Codes that count as one in the reduced classes, such as G9 and G10 as G9-10. Labels may use either vocabulary.
    left_out : tuple of str
        Codes (or reduced ones) that the reduced classes do not hold, too scarce to be taught.
    reject : tuple of str
        Classes or codes that fail a specimen, where the question is one of accept or reject.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: _Name
    title: str = ""
    question: str = "What does this image show?"
    classes: tuple[ClassRange, ...] = Field(min_length=2)
    ordered: bool = True
    criteria: tuple[Choice, ...] = ()
    criterion_required: bool = False
    regions: tuple[Choice, ...] = ()
    draw_region: bool = False
    flags: tuple[Choice, ...] = ()
    comment_chars: int = Field(default=2000, ge=0, le=20000)
    reduced: dict[str, str] = Field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    reject: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Scheme:
        names = [each.name for each in self.classes]
        codes = [code for each in self.classes for code in each.codes or (each.name,)]
        for what, values in (("class", names), ("code", codes)):
            if repeated := sorted({value for value in values if values.count(value) > 1}):
                raise ValueError(f"{what} {repeated[0]} stands there twice")
        if mixed := [code for code in codes if code in names and len(self.range_of(code)) != 1]:
            raise ValueError(f"{mixed[0]} is a class and a code of another one")
        for field, known in (("reduced", set(codes)), ("left_out", {*codes, *self.reduced.values()}),
                             ("reject", {*codes, *names})):  # fmt: skip
            if unknown := sorted(set(getattr(self, field)) - known):
                raise ValueError(f"{field}: {unknown[0]} is no code of the scheme")
        for target in set(self.reduced.values()):
            if len({self.class_of(code) for code, to in self.reduced.items() if to == target}) > 1:
                raise ValueError(f"reduced: {target} joins codes of several classes")
        return self

    # -- vocabulary ---------------------------------------------------------------------------------------

    @property
    def class_names(self) -> tuple[str, ...]:
        """Classes in order."""
        return tuple(each.name for each in self.classes)

    @property
    def codes(self) -> tuple[str, ...]:
        """Every code, class by class."""
        return tuple(code for each in self.classes for code in each.codes or (each.name,))

    @property
    def two_steps(self) -> bool:
        """Whether a class has a range to choose from."""
        return any(len(each.codes) > 1 for each in self.classes)

    @property
    def reduced_codes(self) -> tuple[str, ...]:
        """The reduced classes in order: merged codes once, those left out gone."""
        merged = dict.fromkeys(self.reduced.get(code, code) for code in self.codes if code not in self.left_out)
        return tuple(code for code in merged if code not in self.left_out)

    @property
    def reduces(self) -> bool:
        """Whether the reduced classes differ from the codes."""
        return self.reduced_codes != self.codes

    @cached_property
    def sizes(self) -> tuple[str, ...] | None:
        """Scale that all classes share: codes without the class's name; None where they share none of two steps."""
        if not self.ordered:
            return None
        scales = {tuple(code.removeprefix(each.name) for code in each.codes) for each in self.classes}
        found = scales.pop()
        return found if not scales and len(found) > 1 and all(found) else None

    def range_of(self, class_name: str) -> tuple[str, ...]:
        """Return the codes to choose from once a class is chosen.

        Raises
        ------
        InputError
            No such class.
        """
        for each in self.classes:
            if each.name == class_name:
                return each.codes or (each.name,)
        raise InputError(f"class {class_name!r} is unknown", f"allowed: {', '.join(self.class_names)}")

    def class_of(self, label: str) -> str | None:
        """Return the class of a code, of a reduced code or of a class's own name; None where it is none of them."""
        for each in self.classes:
            own = each.codes or (each.name,)
            if label == each.name or label in own or label in {self.reduced.get(code) for code in own}:
                return each.name
        return None

    def covers(self, label: str) -> tuple[str, ...]:
        """Return the codes that a label stands for: itself, those merged into it, or all of a class."""
        merged = tuple(code for code in self.codes if label in (code, self.reduced.get(code)))
        return merged or (self.range_of(label) if label in self.class_names else ())

    def merge(self, label: str) -> str:
        """Return the category of a code or label once codes are merged as labels merge them; nothing is left out."""
        return self.reduced.get(label, label)

    def reduce(self, label: str) -> str | None:
        """Return the reduced class of a code or reduced code; None where it is left out or unknown."""
        found = self.merge(label)
        return found if found in self.reduced_codes and label not in self.left_out else None

    def size_of(self, code: str) -> str | None:
        """Return the place of a code on the scale that all classes share."""
        name = self.class_of(code)
        if self.sizes is None or name is None:
            return None
        size = code.removeprefix(name)
        return size if size in self.sizes else None

    def steps(self, label: str, code: str) -> int | None:
        """Return how many steps a code lies beyond a label, 0 where it is right; None across classes or unordered.

        Parameters
        ----------
        label : str
            A code or a reduced code; one that covers several codes is met by each of them.
        code : str

        Returns
        -------
        int or None
            Above 0 towards the end of the range.
        """
        name, covered = self.class_of(label), self.covers(label)
        if not self.ordered or name is None or name != self.class_of(code) or not covered:
            return None
        whole = self.range_of(name)
        places = [whole.index(each) for each in covered]
        targets = [whole.index(each) for each in self.covers(code)]
        if not targets:
            return None
        if min(targets) > max(places):
            return min(targets) - max(places)
        return min(0, max(targets) - min(places))

    def rejects(self, label: str) -> bool | None:
        """Return whether a code or label fails the specimen; None where the scheme asks for no such verdict."""
        if not self.reject or self.class_of(label) is None:
            return None
        return self.class_of(label) in self.reject or label in self.reject or any(
            code in self.reject for code in self.covers(label)
        )  # fmt: skip

    # -- answers ------------------------------------------------------------------------------------------

    def problems(self, answer: Answer) -> tuple[str, ...]:
        """Return what is wrong with an answer, one line each; empty where it may be stored."""
        return tuple([*self._rating_problems(answer), *self._remark_problems(answer)])

    def check(self, answer: Answer) -> Answer:
        """Return the answer if it fits the scheme.

        Raises
        ------
        InputError
            It does not; the first problem is told.
        """
        if problems := self.problems(answer):
            raise InputError(problems[0], self._hint(answer))
        return answer

    def completed(self, answer: Answer) -> Answer:
        """Return an answer as written by hand in full: 7 under class M becomes M7, M7 without a class is of class M."""
        name, code = answer.class_name, answer.code
        if name in self.class_names:
            own = self.range_of(name)
            code = own[0] if not code and len(own) == 1 else code
            code = f"{name}{code}" if code not in own and f"{name}{code}" in own else code
        elif not name and code:
            name = next((each.name for each in self.classes if code in (each.codes or (each.name,))), "")
        return replace(answer, class_name=name, code=code)

    def _rating_problems(self, answer: Answer) -> list[str]:
        if CANNOT_RATE in answer.flags:
            given = answer.class_name or answer.code
            return [f"{given} is given for an image that cannot be rated"] if given else []
        if not answer.class_name:
            return ["no class is chosen"]
        if answer.class_name not in self.class_names:
            return [f"class {answer.class_name!r} is unknown"]
        if not answer.code:
            return [f"no code is chosen for class {answer.class_name}"]
        if answer.code not in self.range_of(answer.class_name):
            return [f"code {answer.code!r} lies outside the range of class {answer.class_name}"]
        return []

    def _remark_problems(self, answer: Answer) -> list[str]:
        found = []
        rated = CANNOT_RATE not in answer.flags
        criteria, regions = ({each.name for each in group} for group in (self.criteria, self.regions))
        if answer.criterion and answer.criterion not in criteria:
            found.append(f"criterion {answer.criterion!r} is unknown")
        if self.criterion_required and rated and not answer.criterion:
            found.append("no criterion is chosen")
        if answer.region and answer.region not in regions and not self._is_box(answer.region):
            found.append(f"region {answer.region!r} is unknown")
        known = {each.name for each in self.flags}
        found += [f"flag {flag!r} is unknown" for flag in answer.flags if flag not in known]
        if len(set(answer.flags)) != len(answer.flags):
            found.append("a flag is given twice")
        if len(answer.comment) > self.comment_chars:
            found.append(f"the comment has {len(answer.comment)} characters, at most {self.comment_chars} are kept")
        return found

    def _is_box(self, region: str) -> bool:
        if not self.draw_region or _BOX.fullmatch(region) is None:
            return False
        x, y, width, height = (float(value) for value in region.removeprefix("box:").split(","))
        return width > 0 and height > 0 and x + width <= 1 + 1e-6 and y + height <= 1 + 1e-6

    def _hint(self, answer: Answer) -> str:
        if answer.class_name in self.class_names and answer.code not in self.range_of(answer.class_name):
            return f"codes of {answer.class_name}: {', '.join(self.range_of(answer.class_name))}"
        allowed = {
            "classes": self.class_names,
            "criteria": [each.name for each in self.criteria],
            "regions": [each.name for each in self.regions] + (["box:x,y,w,h"] if self.draw_region else []),
            "flags": [each.name for each in self.flags],
        }
        return "; ".join(f"{what}: {', '.join(names)}" for what, names in allowed.items() if names)


def read_scheme(name_or_file: str | Path, settings: Mapping[str, Any] | None = None) -> Scheme:
    """Read a scheme that comes with sorby, or a YAML file.

    Raises
    ------
    InputError
        No such scheme, or it contradicts itself; the line names the field.
    """
    return read_recipe(Scheme, recipe_folder(FOLDER), name_or_file, settings)


def dump_scheme(scheme: Scheme) -> str:
    """Return a scheme as YAML."""
    return dump_recipe(scheme)


def scheme_names() -> Sequence[str]:
    """Name the schemes that come with sorby."""
    return recipe_names(recipe_folder(FOLDER))
