"""The image viewer: deep zoom, layers that fade, what was found and what people marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nicegui.element import Element

from sorby.station.store.pyramid import TILE, plan


class Viewer(Element, component="static/viewer.js"):
    """An image to look into.

    Parameters
    ----------
    source : mapping
        Of `tiled`.
    title : str
        What screen readers say.
    pixel_size_um : float or None
        None: the bar counts pixels and says so.
    layers : sequence of dict
        Pictures over the whole image: ``name``, ``title``, ``url``, ``strength`` in per cent.
    shapes : sequence of dict
        ``kind`` (box, polygon or line), ``points`` in pixels, ``label``, ``tone``, ``layer``.
    drawn : callable, optional
        Called with what was drawn: ``kind`` and ``box`` or ``points``.
    kept : callable, optional
        Called when a mask was sent: ``count`` of its parts, or ``fault`` and ``hint``.
    group : str
        Viewers of one group move together.
    plain : bool
        Nothing but the image and the bar.
    low : bool
        Half as high.
    """

    def __init__(
        self,
        source: dict[str, Any],
        title: str,
        pixel_size_um: float | None,
        *,
        layers: Sequence[dict[str, Any]] = (),
        shapes: Sequence[dict[str, Any]] = (),
        drawn: Callable[..., Any] | None = None,
        kept: Callable[..., Any] | None = None,
        group: str = "",
        plain: bool = False,
        low: bool = False,
    ) -> None:
        super().__init__()
        self._props.update({
            "source": source, "title": title, "layers": list(layers), "shapes": list(shapes), "plain": plain,
            "low": low, "tool": "look",
        })  # fmt: skip
        if pixel_size_um:
            self._props["pixel"] = pixel_size_um
        if group:
            self._props["group"] = group
        if drawn is not None:
            self.on("drawn", drawn)
        if kept is not None:
            self.on("kept", kept)

    def take(self, tool: str, width: float = 24.0) -> None:
        """Choose what the pointer does: look, box, polygon, or brush of a width in pixels."""
        self._props.update({"tool": tool, "brush": width})
        self.update()

    def show(self, source: dict[str, Any], title: str, pixel_size_um: float | None) -> None:
        """Show another image."""
        self._props.update({"source": source, "title": title, "pixel": pixel_size_um})
        self.update()

    def lead(self, to: str, csrf: str, words: dict[str, str]) -> None:
        """Say where masks go, and what is said of them."""
        self._props["keep"] = {"to": to, "csrf": csrf, "words": words}
        self.update()

    def lay(self, shapes: Sequence[dict[str, Any]], layers: Sequence[dict[str, Any]] = ()) -> None:
        """Replace the shapes and layers over the image."""
        self._props.update({"shapes": list(shapes), "layers": list(layers)})
        self.update()


def tiled(tiles: str, width: int, height: int) -> dict[str, Any]:
    """Return the source of an image that comes in tiles.

    Parameters
    ----------
    tiles : str
        Address before ``/{z}/{x}/{y}``.
    width, height : int
        Pixels.
    """
    levels = [
        {"width": level.width, "height": level.height, "columns": level.columns, "rows": level.rows}
        for level in plan(width, height)
    ]
    return {"tiles": tiles, "width": width, "height": height, "tile": TILE, "levels": levels}
