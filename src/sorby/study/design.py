"""The design of a round robin: images with what is known of them, blind codes, an order for each rater.

A design is fixed before anybody rates and never changes; its digest can be written into a record. Raters see the blind
codes only: labels, predictions and file names stay with whoever organises the study.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from sorby.errors import InputError
from sorby.files import write_json
from sorby.study.ordering import balanced_orders
from sorby.study.scheme import Scheme

FORMAT = "1"
#: Neither vowels, which make words, nor letters and digits that look alike.
_LETTERS = "2345679CDFGHJKMNPQRTVWXYZ"
_CODE_LENGTH = 4


@dataclass(frozen=True)
class Item:
    """One image of a study and what the organiser knows of it.

    Attributes
    ----------
    name : str
        ``I01`` and so on.
    sha256 : str
        Hash of the original file.
    path : str
        Where it lay.
    label : str
        Code or reduced code it has on record; empty where it has none.
    class_name : str
        Class of that label.
    specimen : str
    predicted : str
        What the model that helped to choose said; empty without one.
    difficult : bool or None
        Whether that was wrong.
    pixel_size_um : float or None
    copy_sha256 : str
        Hash of the picture that raters see.
    """

    name: str
    sha256: str
    path: str
    label: str
    class_name: str
    specimen: str = ""
    predicted: str = ""
    difficult: bool | None = None
    pixel_size_um: float | None = None
    copy_sha256: str = ""


@dataclass(frozen=True)
class Showing:
    """One time that an image is shown.

    Attributes
    ----------
    code : str
        Blind code: all that a rater sees of it.
    item : str
    occasion : int
        1, or 2 for the repeat.
    """

    code: str
    item: str
    occasion: int


@dataclass(frozen=True)
class Design:
    """A round robin before anybody has rated.

    Attributes
    ----------
    study : str
        Name of the study.
    scheme : Scheme
    items : tuple of Item
    showings : tuple of Showing
    orders : mapping of str to tuple of str
        For each rater, the blind codes in the order shown. The second showing of an image is the one that comes
        later for this rater, whichever code it has.
    seed : int
    created : str
        UTC, ISO 8601.
    facts : mapping
        How images were chosen and orders balanced, the model, for people to read.
    warnings : tuple of str
    """

    study: str
    scheme: Scheme
    items: tuple[Item, ...]
    showings: tuple[Showing, ...]
    orders: Mapping[str, tuple[str, ...]]
    seed: int
    created: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    # -- looking up ---------------------------------------------------------------------------------------

    @property
    def raters(self) -> tuple[str, ...]:
        """Raters, by the names that stand on their forms."""
        return tuple(self.orders)

    @property
    def labels(self) -> tuple[str, ...]:
        """Label of each item."""
        return tuple(item.label for item in self.items)

    @cached_property
    def place(self) -> dict[str, int]:
        """Row of each item by its name."""
        return {item.name: k for k, item in enumerate(self.items)}

    @cached_property
    def repeated(self) -> tuple[str, ...]:
        """Items that are shown twice."""
        return tuple(showing.item for showing in self.showings if showing.occasion == 2)

    @cached_property
    def _of_rater(self) -> dict[str, dict[str, Showing]]:
        item_of = {showing.code: showing.item for showing in self.showings}
        found: dict[str, dict[str, Showing]] = {}
        for rater, codes in self.orders.items():
            seen: dict[str, int] = {}
            found[rater] = {}
            for code in codes:
                item = item_of[code]
                seen[item] = seen.get(item, 0) + 1
                found[rater][code] = Showing(code, item, seen[item])
        return found

    def order_of(self, rater: str) -> tuple[Showing, ...]:
        """Return what a rater is shown, in order; occasions count as this rater sees them.

        Raises
        ------
        InputError
            The study has no such rater.
        """
        if rater not in self._of_rater:
            raise InputError(f"rater {rater!r} takes no part in study {self.study}", f"raters: {_few(self.raters)}")
        return tuple(self._of_rater[rater].values())

    def showing(self, rater: str, code: str) -> Showing:
        """Return what stands behind a blind code for a rater.

        Raises
        ------
        InputError
            The study has no such rater or code.
        """
        self.order_of(rater)
        if code not in self._of_rater[rater]:
            raise InputError(f"image {code!r} is not part of study {self.study}", "codes are those of the form")
        return self._of_rater[rater][code]

    # -- making and changing ------------------------------------------------------------------------------

    def with_copies(self, sha256_of: Mapping[str, str]) -> Design:
        """Return the design with the hash of the picture that raters see, by item."""
        return replace(self, items=tuple(replace(item, copy_sha256=sha256_of[item.name]) for item in self.items))

    # -- storage ------------------------------------------------------------------------------------------

    def as_dict(self) -> dict[str, Any]:
        """Return the design as plain values, for JSON."""
        return {
            "format": FORMAT,
            "study": self.study,
            "created": self.created,
            "seed": self.seed,
            "scheme": self.scheme.model_dump(mode="json"),
            "items": [asdict(item) for item in self.items],
            "showings": [asdict(showing) for showing in self.showings],
            "orders": {rater: list(codes) for rater, codes in self.orders.items()},
            "facts": dict(self.facts),
            "warnings": list(self.warnings),
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the design, independent of how its file is laid out."""
        text = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any], origin: str = "design") -> Design:
        """Return a design from plain values.

        Raises
        ------
        InputError
            A field is missing or wrong, or the parts do not fit together.
        """
        if int(stored.get("format", 0)) > int(FORMAT):
            raise InputError(f"{origin}: a design of format {stored['format']}, newer than this sorby", "update sorby")
        try:
            design = cls(
                study=str(stored["study"]),
                scheme=Scheme.model_validate(stored["scheme"]),
                items=tuple(Item(**item) for item in stored["items"]),
                showings=tuple(Showing(**showing) for showing in stored["showings"]),
                orders={str(rater): tuple(codes) for rater, codes in stored["orders"].items()},
                seed=int(stored["seed"]),
                created=str(stored["created"]),
                facts=dict(stored.get("facts", {})),
                warnings=tuple(stored.get("warnings", ())),
            )
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise InputError(f"{origin}: not a design of a study ({_line(error)})", "make one: study new") from error
        codes = {showing.code for showing in design.showings}
        items = set(design.place)
        if any(set(order) != codes or len(order) != len(codes) for order in design.orders.values()) or not all(
            showing.item in items for showing in design.showings
        ):
            raise InputError(f"{origin}: orders and images do not fit together", "the file has been changed")
        return design

    def save(self, path: Path | str) -> None:
        """Write the design as JSON."""
        write_json(path, self.as_dict())

    @classmethod
    def load(cls, path: Path | str) -> Design:
        """Read a design.

        Raises
        ------
        InputError
            The file is absent or no design.
        """
        try:
            stored = json.loads(Path(path).read_text("utf-8"))
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})", "give a folder of study new") from error
        except ValueError as error:
            raise InputError(f"{path}: not JSON ({_line(error)})", "give a folder of study new") from error
        if not isinstance(stored, dict):
            raise InputError(f"{path}: not a design of a study", "make one: study new")
        return cls.from_dict(stored, str(path))


def plan(
    study: str,
    scheme: Scheme,
    items: Sequence[Item],
    raters: Sequence[str],
    *,
    repeats: int = 0,
    gap: int | None = None,
    seed: int = 0,
    created: str,
    facts: Mapping[str, Any] | None = None,
    warnings: Sequence[str] = (),
) -> Design:
    """Give images blind codes and every rater an order.

    Parameters
    ----------
    study : str
    scheme : Scheme
    items : sequence of Item
    raters : sequence of str
    repeats : int
        Images shown twice, spread over the classes: how well raters agree with themselves.
    gap : int, optional
        Least number of places between two showings; as many as can be where None, and never adjacent.
    seed : int
    created : str
        UTC, ISO 8601.
    facts : mapping, optional
    warnings : sequence of str

    Returns
    -------
    Design

    Raises
    ------
    InputError
        A label is no code of the scheme, a rater or item is named twice, or there are more repeats than images.
    """
    for item in items:
        if item.label and scheme.class_of(item.label) is None:
            raise InputError(
                f"{item.path}: label {item.label!r} is no code of scheme {scheme.name}",
                f"codes: {_few(scheme.codes)}",
            )
    for what, names in (("rater", list(raters)), ("item", [item.name for item in items])):
        if len(set(names)) != len(names) or not names:
            raise InputError(f"{what}s of a study: {_few(names) or 'none'}", f"name each {what} once")
    if not 0 <= repeats <= len(items):
        raise InputError(f"{repeats} repeats of {len(items)} images", "repeat each image once at most")
    rng = np.random.default_rng([1863, 61, seed])
    twice = _spread_over_classes(items, repeats, rng)
    shown = [*((item.name, 1) for item in items), *((items[k].name, 2) for k in twice)]
    codes = _blind_codes(len(shown), rng)
    showings = tuple(Showing(code, item, occasion) for code, (item, occasion) in zip(codes, shown, strict=True))
    pairs = [(k, len(items) + j) for j, k in enumerate(twice)]
    balanced = balanced_orders(len(shown), len(raters), pairs, gap=gap, seed=seed)
    orders = {rater: tuple(codes[k] for k in row) for rater, row in zip(raters, balanced.orders, strict=True)}
    balance = {
        "mean_place_least": float(balanced.mean_place.min() + 1),
        "mean_place_most": float(balanced.mean_place.max() + 1),
        "least_gap": balanced.least_gap,
        "most_followed": balanced.most_followed,
    }
    told = {**(facts or {}), "balance": balance}
    return Design(study, scheme, tuple(items), showings, orders, seed, created, told, tuple(warnings))


def _spread_over_classes(items: Sequence[Item], count: int, rng: np.random.Generator) -> list[int]:
    """Choose items, class after class in turn, at random within a class."""
    mixed = rng.permutation(len(items)).tolist()
    turn: dict[str, int] = {}
    ranked = []
    for k in mixed:
        turn[items[k].class_name] = turn.get(items[k].class_name, -1) + 1
        ranked.append((turn[items[k].class_name], k))
    return [k for _, k in sorted(ranked, key=lambda entry: entry[0])][:count]


def _blind_codes(count: int, rng: np.random.Generator) -> list[str]:
    """Draw codes that say nothing and are not taken for one another."""
    codes: dict[str, None] = {}
    while len(codes) < count:
        codes["".join(rng.choice(list(_LETTERS), _CODE_LENGTH))] = None
    return list(codes)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _line(error: Exception) -> str:
    return str(error).splitlines()[0]
