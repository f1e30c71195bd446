"""The language of circuit strings: ``R0-p(R1,C1)-p(R2-Wo1,C2)``.

::

    circuit  =  series
    series   =  term { "-" term }
    term     =  element | "p(" series "," series { "," series } ")"
    element  =  one of CPE Wo Ws R C L W G, then letters, digits or underscores that tell it from others

``-`` joins in series, ``p( , )`` in parallel; blanks are ignored. The longest symbol wins: ``Wo1`` is an open Warburg
element and ``Ws`` a short one; ``Rct`` is a resistor, ``Cdl`` a capacitor. A fault is told with the character at which
reading stopped.
"""

from __future__ import annotations

from dataclasses import dataclass

from sorby.electrochem.circuit_elements import ELEMENTS, ElementKind
from sorby.errors import InputError

_LONGEST, _DEEPEST = 400, 24
_SYMBOLS = sorted(ELEMENTS, key=len, reverse=True)


class CircuitError(InputError):
    """A circuit string cannot be read.

    Attributes
    ----------
    position : int
        Index of the offending character, from 0; the length of the text where it ends too early.
    """

    def __init__(self, text: str, position: int, what: str) -> None:
        marked = f"{text[:position]}^{text[position:]}"
        super().__init__(
            f"circuit '{text}', character {position + 1}: {what}; here: {marked}",
            "e.g. R0-p(R1,CPE1)-W1; elements are " + ", ".join(ELEMENTS),
        )
        self.position = position


@dataclass(frozen=True)
class Element:
    """A leaf: *kind*, *name* as written, and the index *first* of its first parameter in the circuit's list."""

    kind: ElementKind
    name: str
    first: int

    @property
    def stop(self) -> int:
        """Index behind its last parameter."""
        return self.first + len(self.kind.parameters)


@dataclass(frozen=True)
class Series:
    """Branches one behind the other: impedances add."""

    parts: tuple[Node, ...]
    first: int
    stop: int


@dataclass(frozen=True)
class Parallel:
    """Branches side by side: admittances add."""

    parts: tuple[Node, ...]
    first: int
    stop: int


Node = Element | Series | Parallel


def parse(text: str) -> Node:
    """Read a circuit string.

    Parameters
    ----------
    text : str

    Returns
    -------
    Element, Series or Parallel
        The tree; parameters are counted from left to right.

    Raises
    ------
    CircuitError
        The text is no circuit, or an element's name occurs twice; `position` is where.
    """
    return _Reading(text).whole()


class _Reading:
    """A recursive descent over one string."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0
        self.names: dict[str, int] = {}
        self.parameters = 0

    def whole(self) -> Node:
        if len(self.text) > _LONGEST:
            raise CircuitError(self.text[:60] + "...", 60, f"longer than {_LONGEST} characters")
        node = self.series()
        if self.peek():
            raise self.fault('")" closes nothing' if self.peek() == ")" else 'expected "-" or the end')
        return node

    def peek(self) -> str:
        """Return the next character that is no blank, "" at the end."""
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        return self.text[self.at : self.at + 1]

    def fault(self, what: str) -> CircuitError:
        self.peek()
        return CircuitError(self.text, self.at, what)

    def series(self) -> Node:
        first, parts = self.parameters, [self.term()]
        while self.peek() == "-":
            self.at += 1
            parts.append(self.term())
        if len(parts) == 1:
            return parts[0]
        return Series(tuple(parts), first, self.parameters)

    def term(self) -> Node:
        letter = self.peek()
        if letter == "p":
            return self.parallel()
        if letter == "":
            raise self.fault("an element is missing at the end")
        if letter in "-,)(":
            raise self.fault(f'an element is missing before "{letter}"')
        return self.element()

    def parallel(self) -> Node:
        opened, first = self.at, self.parameters
        self.at += 1
        if self.peek() != "(":
            raise self.fault('"p" must be followed by "("')
        self.at += 1
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self.fault(f"nested deeper than {_DEEPEST}")
        branches = [self.series()]
        while self.peek() == ",":
            self.at += 1
            branches.append(self.series())
        if self.peek() != ")":
            ended = not self.peek()
            raise self.fault(
                f'")" is missing for "p(" at character {opened + 1}' if ended else 'expected ",", "-" or ")"'
            )
        if len(branches) == 1:
            raise self.fault('a parallel connection needs two branches, "," is missing')
        self.at += 1
        self.depth -= 1
        return Parallel(tuple(branches), first, self.parameters)

    def element(self) -> Element:
        begin = self.at
        symbol = next((each for each in _SYMBOLS if self.text.startswith(each, begin)), None)
        if symbol is None:
            raise self.fault(f'"{self.text[begin]}" begins no element')
        end = begin + len(symbol)
        while end < len(self.text) and (self.text[end].isalnum() or self.text[end] == "_"):
            end += 1
        name = self.text[begin:end]
        if name in self.names:
            raise CircuitError(
                self.text, begin, f"{name} occurs twice (first at character {self.names[name] + 1}); number them"
            )
        self.names[name] = begin
        element = Element(ELEMENTS[symbol], name, self.parameters)
        self.at, self.parameters = end, element.stop
        return element
