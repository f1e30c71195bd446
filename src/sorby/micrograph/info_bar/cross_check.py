"""Tag, text and measured bar against each other: one pixel size, one magnification, and every contradiction by name."""

from __future__ import annotations

from dataclasses import dataclass

from sorby.micrograph.image import NO_SCALE, Scale
from sorby.micrograph.info_bar.grammar import step_confidence
from sorby.micrograph.info_bar.reading import InfoBarReading

DISPLAY_WIDTHS_MM = {
    127.0: "4 x 5 inch film, to which Hitachi, JEOL and others refer",
    207.2: "FEI and Thermo Fisher",
}
"""Widths of the display that magnifications refer to, where they are known and constant."""

PLAUSIBLE_DISPLAY_MM = (80.0, 450.0)
"""From the smallest print to the largest screen: a magnification and a pixel size that imply another contradict."""

_SAME = 0.02  # relative: two statements of one pixel size
_SAME_MAGNIFICATION = 0.01
_END_PX = 1.5  # by which the drawn length may be off: makers differ in counting end marks in
_SURE, _DOUBTED = 0.99, 0.5
_LEAST_LABEL = 0.5  # confidence below which a label is no witness against a tag


@dataclass(frozen=True)
class Disagreement:
    """Two things that cannot both be true.

    Attributes
    ----------
    name : str
        What contradicts what; one of a few fixed names.
    detail : str
        The figures.
    """

    name: str
    detail: str

    def as_dict(self) -> dict[str, str]:
        """Return ``{"name": ..., "detail": ...}``."""
        return {"name": self.name, "detail": self.detail}


@dataclass(frozen=True)
class CheckedScale:
    """The scale of an image after all its witnesses were heard.

    Attributes
    ----------
    scale : Scale
        With the source that is believed; `confidence` falls with every disagreement, and the value of the believed
        source stands: nothing is averaged.
    pixel_sizes_um : dict of str to float
        What each witness says: ``tag``, ``bar`` (label by measured length), ``field`` (field width by width).
    magnifications : dict of str to float
        ``tag``, ``text``.
    disagreements : tuple of Disagreement
    relative_error : float or None
        By how much the pixel size may be off from reading the ends of the drawn bar; None where that does not enter.
    """

    scale: Scale
    pixel_sizes_um: dict[str, float]
    magnifications: dict[str, float]
    disagreements: tuple[Disagreement, ...]
    relative_error: float | None = None


def cross_check(reading: InfoBarReading | None, tag: Scale = NO_SCALE, width_px: int | None = None) -> CheckedScale:
    """Settle the scale of an image from its tag and its info bar.

    Parameters
    ----------
    reading : InfoBarReading or None
        What the bar says; None where there is none.
    tag : Scale
        What tags or a sidecar say.
    width_px : int, optional
        Width of the image where there is no reading.

    Notes
    -----
    The tag is believed first, then the field width, then the label by the drawn length. The drawn length is good to a
    pixel; where the pixel size it gives implies, with the magnification, one of `DISPLAY_WIDTHS_MM` within that error,
    it is set to what that width gives exactly, and the detail says so.
    """
    width = reading.width_px if reading is not None else width_px
    sizes, magnifications = _witnesses(reading, tag)
    disagreements = [Disagreement("bar contradicts itself", line) for line in (reading.rivals if reading else ())]
    error = None
    length = reading.number("bar_length_px") if reading is not None else None
    if "bar" in sizes and length:
        error = _END_PX / length
    scale = _believed(reading, tag, sizes, magnifications, width, error)
    disagreements += _between_sizes(reading, sizes, error)
    disagreements += _between_magnifications(magnifications)
    disagreements += _against_display(scale, width)
    disagreements += _odd_label(reading)
    if scale.source != "none":
        scale = _weighed(scale, sizes, disagreements)
    from_bar = scale.source == "info-bar" and "field" not in sizes
    return CheckedScale(scale, sizes, magnifications, tuple(disagreements), error if from_bar else None)


def _witnesses(reading: InfoBarReading | None, tag: Scale) -> tuple[dict[str, float], dict[str, float]]:
    """Return what each source says of the pixel size, um, and of the magnification."""
    sizes: dict[str, float] = {}
    magnifications: dict[str, float] = {}
    if tag.pixel_size_um is not None:
        sizes["tag"] = tag.pixel_size_um
    if tag.magnification is not None:
        magnifications["tag"] = tag.magnification
    if reading is None:
        return sizes, magnifications
    label, length = reading.number("scale_label_um"), reading.number("bar_length_px")
    if label is not None and length is not None:
        sizes["bar"] = label / length
    field = reading.number("field_width_um")
    if field is not None:
        sizes["field"] = field / reading.width_px
    stated = reading.number("magnification")
    if stated is not None:
        magnifications["text"] = stated
    return sizes, magnifications


def _believed(
    reading: InfoBarReading | None,
    tag: Scale,
    sizes: dict[str, float],
    magnifications: dict[str, float],
    width: int | None,
    error: float | None,
) -> Scale:
    """Return the scale of the most trustworthy witness, not yet doubted."""
    magnification = magnifications.get("tag", magnifications.get("text"))
    if "tag" in sizes:
        return Scale(sizes["tag"], magnification, tag.source, tag.confidence, tag.detail)
    if reading is None:
        return tag
    label = reading.values.get("scale_label_um")
    if "field" in sizes:
        text = reading.values["field_width_um"].text
        sure = reading.confidence("field_width_um")
        return Scale(sizes["field"], magnification, "info-bar", sure, f"info bar: {text} across {reading.width_px} px")
    if "bar" in sizes and label is not None and error is not None:
        length = reading.values["bar_length_px"]
        detail = f"info bar: {label.text} over {length.value:g} px ({length.text})"
        size, sure = sizes["bar"], reading.confidence("scale_label_um", "bar_length_px")
        known = _known_display(size, magnification, width, error)
        if known is not None and magnification is not None and width:
            size = known * 1e3 / (magnification * width)
            sure = min(0.97, max(sure, 0.5 + sure / 2))  # label, length and magnification bear each other out
            detail += f"; set to what {magnification:g}x on a display of {known:g} mm gives"
        return Scale(size, magnification, "info-bar", sure, detail)
    if magnification is not None:
        if tag.source != "none":
            return Scale(None, magnification, tag.source, tag.confidence, tag.detail)
        sure = reading.confidence("magnification")
        return Scale(None, magnification, "info-bar", sure, "info bar: a magnification, no length to measure by")
    return Scale(detail="neither tag nor info bar states a scale")


def _known_display(size: float, magnification: float | None, width: int | None, error: float) -> float | None:
    """Return the known display width that a bar and a magnification imply within the error of the drawn length."""
    if magnification is None or not width:
        return None
    implied = size * width * magnification / 1e3
    near = {abs(implied / known - 1): known for known in DISPLAY_WIDTHS_MM}
    return near[min(near)] if min(near) <= error else None


def _between_sizes(reading: InfoBarReading | None, sizes: dict[str, float], error: float | None) -> list[Disagreement]:
    names = {"tag": "tag", "bar": "drawn scale bar", "field": "field width"}
    found = []
    for one, other in (("tag", "bar"), ("tag", "field"), ("field", "bar")):
        if one not in sizes or other not in sizes:
            continue
        allowed = _SAME + (1.5 * error if error and other == "bar" else 0.0)
        unsure = other == "bar" and reading is not None and reading.confidence("scale_label_um") < _LEAST_LABEL
        if abs(sizes[other] / sizes[one] - 1) > allowed and not unsure:
            detail = f"{sizes[one]:.5g} um a pixel against {sizes[other]:.5g}"
            found.append(Disagreement(f"{names[one]} contradicts {names[other]}", detail))
    return found


def _between_magnifications(magnifications: dict[str, float]) -> list[Disagreement]:
    if len(magnifications) < 2 or abs(magnifications["text"] / magnifications["tag"] - 1) <= _SAME_MAGNIFICATION:
        return []
    detail = f"{magnifications['tag']:g}x in the tag, {magnifications['text']:g}x on the bar"
    return [Disagreement("tag contradicts magnification", detail)]


def _against_display(scale: Scale, width: int | None) -> list[Disagreement]:
    """Say where magnification and pixel size imply a display that no instrument has."""
    if scale.pixel_size_um is None or scale.magnification is None or not width:
        return []
    implied = scale.pixel_size_um * width * scale.magnification / 1e3
    if PLAUSIBLE_DISPLAY_MM[0] <= implied <= PLAUSIBLE_DISPLAY_MM[1]:
        return []
    detail = (
        f"{scale.magnification:g}x and {scale.pixel_size_um:.5g} um a pixel would need a display of {implied:.4g} mm"
    )
    return [Disagreement("magnification contradicts pixel size", detail)]


def _odd_label(reading: InfoBarReading | None) -> list[Disagreement]:
    label = reading.number("scale_label_um") if reading is not None else None
    if reading is None or label is None or step_confidence(label) >= _LEAST_LABEL:
        return []
    text = reading.values["scale_label_um"].text
    return [Disagreement("scale label is no usual length", f"{text!r}: instruments use steps such as 1, 2 and 5")]


def _weighed(scale: Scale, sizes: dict[str, float], disagreements: list[Disagreement]) -> Scale:
    """Return the scale with its confidence: higher where witnesses agree, halved where any disagree."""
    confidence = scale.confidence
    if disagreements:
        confidence *= _DOUBTED
    elif len(sizes) > 1:
        confidence = max(confidence, _SURE)
    return Scale(scale.pixel_size_um, scale.magnification, scale.source, round(confidence, 4), scale.detail)
