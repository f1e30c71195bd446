"""The few pieces that all pages are made of: plain HTML elements, so that keyboards and screen readers know them.

Whatever a person or a file brought in is shown as text by these, never as markup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement
from nicegui.elements.mixins.value_element import ValueElement

__all__ = [
    "Button", "Field", "Text", "box", "button", "choice", "close", "dialogue", "empty", "facts", "field", "heading",
    "link", "mark", "note", "table", "text", "tick",
]  # fmt: skip

Cell = str | int | float | None | Callable[[], object]


class Text(TextElement):
    """An element that holds text and nothing else."""

    def __init__(self, tag: str, words: str, classes: str = "") -> None:
        super().__init__(tag=tag, text=words)
        self.classes(classes)


class Field(ValueElement[Any], component="static/field.js"):
    """One labelled field of a form."""

    LOOPBACK = False  # what is being typed is not sent back into the field

    def __init__(self, label: str, value: Any, kind: str, **properties: Any) -> None:
        super().__init__(value=value)
        self._props.update({"label": label, "type": kind, **{k: v for k, v in properties.items() if v is not None}})

    @property
    def words(self) -> str:
        """What was typed, without blanks around it."""
        return str(self.value or "").strip()

    @property
    def number(self) -> float | None:
        """What was typed, as a number; None where it is none."""
        try:
            return float(self.words.replace(",", "."))
        except ValueError:
            return None


class Button(TextElement):
    """A button.

    Parameters
    ----------
    words : str
    act : callable or None
        Called on a click; may be a coroutine function.
    classes : str
        ``first`` for the main one of a page, ``bad`` for one that takes something away, ``small``.
    key : str
        Key that does the same, shown on the button.
    """

    def __init__(self, words: str, act: Callable[[], Any] | None, classes: str = "", key: str = "") -> None:
        super().__init__(tag="button", text=words)
        self.classes(f"button {classes}").props("type=button")
        if key:
            with self:
                Text("kbd", key)
            self.props["aria-keyshortcuts"] = key
        if act is not None:
            self.on("click", lambda _event: act())


def text(words: object, classes: str = "", tag: str = "p") -> Text:
    """Show words as they are."""
    return Text(tag, str(words), classes)


def heading(words: str, level: int = 2) -> Text:
    """Show a heading."""
    return Text(f"h{level}", words)


def box(classes: str = "", tag: str = "div") -> Element:
    """Return an element to put others in."""
    return ui.element(tag).classes(classes)


def button(words: str, act: Callable[[], Any] | None = None, classes: str = "", key: str = "") -> Button:
    """Show a button; see `Button`."""
    return Button(words, act, classes, key)


def link(words: str, to: str, classes: str = "", *, download: bool = False) -> Text:
    """Show a link to a place of this station."""
    found = Text("a", words, classes)
    found.props["href"] = to
    if download:
        found.props["download"] = ""
    return found


def field(label: str, value: str = "", kind: str = "text", **properties: Any) -> Field:
    """Show a field: ``text``, ``password``, ``number``, ``date`` or ``prose`` for several lines."""
    return Field(label, value, kind, **properties)


def choice(label: str, options: Mapping[str, str] | Sequence[str], value: str = "", **properties: Any) -> Field:
    """Show a field that takes one of some values, given as value: words, or as words."""
    pairs = list(options.items()) if isinstance(options, Mapping) else [(each, each) for each in options]
    chosen = value if any(value == pair[0] for pair in pairs) else (pairs[0][0] if pairs else "")
    return Field(label, chosen, "choice", options=[list(pair) for pair in pairs], **properties)


def tick(label: str, value: bool = False) -> Field:
    """Show a field that is set or not."""
    return Field(label, value, "tick")


def mark(words: str, tone: str = "plain") -> Text:
    """Show a state: its words say it, its shape and colour repeat it (good, warn, bad, accent or plain)."""
    return Text("span", words, f"mark {tone}")


def note(words: str, tone: str = "") -> Text:
    """Show a remark that should not be missed."""
    return Text("div", words, f"note {tone}")


def empty(words: str) -> None:
    """Say that there is nothing, and what would change that."""
    with box("empty"):
        text(words)


def facts(pairs: Iterable[tuple[str, Cell]]) -> Element:
    """Show names and values in two columns; a value may be a function that shows itself; None is left out."""
    with box("facts", "dl") as found:
        for name, value in pairs:
            if value is not None and value != "":
                text(name, tag="dt")
                _cell(value, "dd")
    return found


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    caption: str = "",
    figures: Iterable[int] = (),
    chosen: int | None = None,
    nothing: str = "Nothing here yet.",
) -> Element:
    """Show a table.

    Parameters
    ----------
    columns : sequence of str
    rows : iterable of sequences
        Cells: text, numbers, or functions that show something.
    caption : str
        Read out before the table; hidden where empty.
    figures : iterable of int
        Columns of numbers, set to the right.
    chosen : int, optional
        Row that is marked.
    nothing : str
        Said where there are no rows.
    """
    right, rows = set(figures), list(rows)
    with box("table") as found:
        if not rows:
            empty(nothing)
            return found
        found.props["tabindex"] = "0"  # a wide table is scrolled by keys
        found.props["role"] = "region"
        found.props["aria-label"] = caption or ", ".join(columns[:3])
        with box(tag="table"):
            if caption:
                text(caption, tag="caption")
            with box(tag="thead"), box(tag="tr"):
                for number, name in enumerate(columns):
                    text(name, "figure" if number in right else "", "th" if name else "td").props("scope=col")
            with box(tag="tbody"):
                for number, row in enumerate(rows):
                    with box("chosen" if number == chosen else "", "tr") as line:
                        if number == chosen:
                            line.props["aria-current"] = "true"
                        for column, cell in enumerate(row):
                            _cell(cell, "td", "figure" if column in right else "", columns[column])
    return found


@contextmanager
def dialogue(title: str) -> Iterator[Element]:
    """Open a dialogue over the page; Escape closes it. Yields the element; ``close(element)`` shuts it."""
    # Not within what asked for it, which may be a dialogue that goes.
    with ui.context.client.content, ui.element("dialog").classes("sheet") as found, box("stack"):
        heading(title)
        found.props["aria-label"] = title
        yield found
    found.on("close", found.delete)
    ui.run_javascript(f"getHtmlElement({found.id}).showModal()")


def close(found: Element) -> None:
    """Shut a dialogue."""
    ui.run_javascript(f"getHtmlElement({found.id}).close()")


def _cell(value: Cell, tag: str, classes: str = "", name: str = "") -> None:
    if callable(value):
        with box(classes, tag) as found:
            value()
    else:
        found = text("" if value is None else value, classes, tag)
    if name:
        found.props["data-name"] = name  # on a phone a row is a list, each cell with its column's name
