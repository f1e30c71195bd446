"""How three plants name their SEM pictures, and how the names go wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sorby.corpus.archive import check_digit

Plant = Literal["plant-1", "plant-2", "plant-3"]
PLANTS: tuple[Plant, ...] = ("plant-1", "plant-2", "plant-3")
Typo = Literal["", "substitution", "missing", "extra", "O for 0", "I for 1", "transposition"]
TYPOS: tuple[Typo, ...] = ("substitution", "missing", "extra", "O for 0", "I for 1", "transposition")

#: Edits after Levenshtein, who knows no transposition: two neighbours swapped are two substitutions.
EDITS: Mapping[Typo, int] = {
    "": 0, "substitution": 1, "missing": 1, "extra": 1, "O for 0": 1, "I for 1": 1, "transposition": 2,
}  # fmt: skip


@dataclass(frozen=True)
class Foan:
    """A fracture-order number: ``FOAN-2023-00417-9``.

    Attributes
    ----------
    year : int
    number : int
        0 to 99999.
    """

    year: int
    number: int

    @property
    def check(self) -> str:
        """Check digit mod 11 over year and number; X is ten."""
        return check_digit("mod11", f"{self.year}{self.number:05d}")

    @property
    def digits(self) -> str:
        """The ten characters after the prefix."""
        return f"{self.year}{self.number:05d}{self.check}"

    def __str__(self) -> str:
        return f"FOAN-{self.year}-{self.number:05d}-{self.check}"

    @property
    def normalised(self) -> str:
        """Without separators."""
        return f"FOAN{self.digits}"


@dataclass(frozen=True)
class Series:
    """What the names of one fragment's pictures say.

    Attributes
    ----------
    plant : {"plant-1", "plant-2", "plant-3"}
    digits : str
        The FOAN's ten characters as they were typed.
    serial : str or None
        Seven digits, or None where it was left out; plant 3 writes the last five.
    fragment : str
    date : str
        ISO, of the session.
    """

    plant: Plant
    digits: str
    serial: str | None
    fragment: str
    date: str

    def name(self, magnification: float, number: int) -> str:
        """Return the file name of a picture, without its ending."""
        serial, digits = self.serial, self.digits
        kilo = magnification >= 1000 and magnification % 1000 == 0
        if self.plant == "plant-1":
            middle = f"_SN{serial}" if serial else ""
            whole = f"FOAN-{digits[:4]}-{digits[4:-1]}-{digits[-1]}"
            return f"{whole}{middle}_Fr{self.fragment}_{magnification:05.0f}x_{number:03d}"
        if self.plant == "plant-2":
            middle = f"-s{serial}" if serial else ""
            size = f"{magnification / 1000:.0f}k" if kilo else f"{magnification:.0f}"
            return f"sem-{digits}{middle}-f{self.fragment}-m{size}-{number:02d}"
        middle = f"_Nr{serial[-5:]}" if serial else ""
        whole = f"{digits[2:4]}-{digits[4:-1]}-{digits[-1]}"
        return f"Bruch_{whole}{middle}_BS-{self.fragment}_V{magnification:.0f}_{self.date}_{number:02d}"


def misspell(digits: str, typo: Typo, rng: np.random.Generator, *, first: int = 0) -> str:
    """Return a FOAN's characters with one mistake in them.

    Parameters
    ----------
    digits : str
        Ten characters.
    typo : str
        One of `TYPOS`; a letter for a digit that does not occur becomes a substitution.
    rng : numpy.random.Generator
    first : int
        Characters before this one are spared (plant 3 does not write the century).

    Returns
    -------
    str
        Different from *digits*.
    """
    places = list(range(first, len(digits)))
    swap = {"O for 0": ("0", "O"), "I for 1": ("1", "I")}.get(typo)
    if swap is not None:
        found = [place for place in places if digits[place] == swap[0]]
        if found:
            place = int(rng.choice(found))
            return digits[:place] + swap[1] + digits[place + 1 :]
        typo = "substitution"
    if typo == "transposition":
        uneven = [place for place in places[:-1] if digits[place] != digits[place + 1]]
        place = int(rng.choice(uneven))
        return digits[:place] + digits[place + 1] + digits[place] + digits[place + 2 :]
    place = int(rng.choice(places))
    if typo == "missing":
        return digits[:place] + digits[place + 1 :]
    other = str(rng.choice([digit for digit in "0123456789" if digit != digits[place]]))
    return digits[:place] + other + digits[place + (typo == "substitution") :]


def stray_name(number: int, rng: np.random.Generator) -> str:
    """Return a file name that says nothing of a report, as operators in a hurry leave them."""
    forms = ("IMG_{n:04d}", "overview ({n})", "Unbenannt-{n}", "test_{n:03d}", "SE2_Image{n:05d}")
    return str(rng.choice(forms)).format(n=number)
