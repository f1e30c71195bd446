"""``measure mirror``: mirror radii of fracture pictures, and the mirror constant where the stress is known."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from sorby.errors import ImageError, InputError
from sorby.files import atomic_write, staged_directory
from sorby.measure.fracture_mirror import FractureMirror, measure_mirror
from sorby.measure.mirror_constant import MirrorConstant, bending_stress_mpa, mirror_constant
from sorby.measure.mirror_overlay import draw_mirror
from sorby.micrograph import Micrograph
from sorby.micrograph.info_bar import crop_info_bar, find_info_bar
from sorby.workflow.measuring.images import gather, measure_each

TERMS = (
    "radius: mirror/mist boundary from the origin (ASTM C1678, C1322), from where lines begin to point at the origin;"
    " not by eye"
)
#: Share of the picture's longest side that a mirror's radius fills at best.
_BEST_SHARE = 0.13
_COLUMNS = (
    "image", "pixel_size_um", "x_px", "y_px", "origin", "radius_um", "radius_low_um", "radius_high_um",
    "mist_hackle_um", "amplitude", "share", "stress_mpa", "constant_mpa_sqrt_m", "constant_low", "constant_high",
    "warnings",
)  # fmt: skip


@dataclass(frozen=True)
class Loading:
    """What is known of the stress at the origin.

    Attributes
    ----------
    stress_mpa : float or None
        Stated.
    load_n : float or None
        Load at fracture; with *bar* the stress follows.
    bar_mm : (float, float, float, float) or None
        Width, height, outer and inner span of a bar in bending.
    depth_um : float
        Of the origin below the tensile surface, where the stress of a bar in bending is lower.
    error : float
        Relative standard error of the stress.
    """

    stress_mpa: float | None = None
    load_n: float | None = None
    bar_mm: tuple[float, float, float, float] | None = None
    depth_um: float = 0.0
    error: float = 0.01

    def at_origin_mpa(self) -> float | None:
        """Return the stress at the origin, None where nothing is known.

        Raises
        ------
        InputError
            Both stress and load are given, a load without a bar, or the numbers cannot be.
        """
        for option, value in (
            ("--stress-mpa", self.stress_mpa),
            ("--load-n", self.load_n),
            *(("--bar-mm", length) for length in self.bar_mm or ()),
            ("--depth-um", self.depth_um),
            ("--stress-error-percent", 100.0 * self.error),
        ):
            if value is not None and not math.isfinite(value):
                raise InputError(f"{option} {value:g} cannot be", "give a finite number")
        if self.stress_mpa is not None and self.load_n is not None:
            raise InputError("stress and load are both given", "leave one of --stress-mpa and --load-n out")
        if self.load_n is None:
            return self.stress_mpa
        if self.bar_mm is None:
            raise InputError(
                "a load is no stress", "add --bar-mm WIDTH,HEIGHT,OUTER,INNER (mm; inner 0 for three-point bending)"
            )
        width, height, outer, inner = self.bar_mm
        if min(width, height) <= 0 or not 0 <= inner < outer:
            raise InputError(
                f"a bar of {width:g} x {height:g} mm on spans of {outer:g} and {inner:g} mm cannot be bent",
                "give WIDTH,HEIGHT,OUTER,INNER in mm, outer above inner",
            )
        share = 1.0 - 2.0 * self.depth_um / 1000.0 / height
        if share <= 0:
            raise InputError(f"an origin {self.depth_um:g} um deep lies beyond the neutral axis", "check --depth-um")
        return bending_stress_mpa(self.load_n, width, height, outer, inner) * share


def measure_mirrors(
    paths: Sequence[Path | str],
    out: Path | str | None = None,
    *,
    pixel_size_um: float | None = None,
    origin: tuple[float, float] | None = None,
    loading: Loading | None = None,
    one_specimen: bool = False,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure the mirror in every image.

    Parameters
    ----------
    paths : sequence of path
        Images, or folders of them; an info bar is taken off.
    out : path, optional
        Folder for ``mirrors.csv`` and an overlay of every image.
    pixel_size_um : float, optional
        Scale of every image; overrules the files.
    origin : (float, float), optional
        Of every image, x and y in pixels; found where absent.
    loading : Loading, optional
        Of the specimen; the same for every image.
    one_specimen : bool
        Whether the images show one specimen: the one whose view serves best then speaks for it.
    seed : int

    Returns
    -------
    dict
        ``images`` (``image``, ``pixel_size_um``, ``origin`` {``x_px``, ``y_px``, ``source``}, ``radius_um``, ``ci95``,
        ``mist_hackle_um``, ``directions`` [{``degrees``, ``radius_um``}], ``amplitude``, ``share``, ``stress_mpa``,
        ``mirror_constant_mpa_sqrt_m``, ``warnings``), ``specimen`` (the best view of one specimen's images),
        ``terms``, ``quarantined``, ``warnings``, ``out``.

    Raises
    ------
    InputError
        No image can be measured, the loading does not make a stress, or one origin is given for several images.
    """
    given = loading or Loading()
    stress = given.at_origin_mpa()
    if origin is not None and len(gather(paths)) > 1:
        raise InputError("one origin was given for several images", "measure them one by one, or leave it out")
    if stress is not None and not stress > 0:
        raise InputError(f"a stress of {stress:g} MPa broke nothing", "give a tensile stress above 0")
    with nullcontext() if out is None else staged_directory(out) as folder:
        found: list[_Measured] = []

        def measure_one(micrograph: Micrograph) -> _Measured:
            measured = _measure(micrograph, origin, stress, given.error, seed)
            if folder is not None:
                _write_overlay(folder, len(found), micrograph, measured)
            found.append(measured)
            return measured

        measured, quarantined = measure_each(paths, pixel_size_um, measure_one, what="measuring mirrors")
        if not measured:
            first = quarantined[0].reason
            raise InputError(f"none of {len(quarantined)} images could be measured ({first})", "see the reasons")
        if folder is not None:
            _write_table(folder, measured)
    return {
        "images": [each.as_dict() for each in measured],
        "specimen": _specimen(measured) if one_specimen else None,
        "terms": TERMS,
        "quarantined": [entry.as_dict() for entry in quarantined],
        "warnings": [] if stress is not None else ["no stress is known: no mirror constant"],
        "out": None if out is None else str(out),
    }


@dataclass(frozen=True, eq=False)
class _Measured:
    """One image's mirror; rows of a bar at the top are counted again in its coordinates."""

    path: str
    scale_source: str
    mirror: FractureMirror
    constant: MirrorConstant | None
    bar_rows: int

    def as_dict(self) -> dict[str, Any]:
        """Return the image's entry of the result."""
        mirror, constant = self.mirror, self.constant
        return {
            "image": self.path,
            "pixel_size_um": mirror.pixel_size_um,
            "pixel_size_source": self.scale_source,
            "origin": {"x_px": mirror.x_px, "y_px": mirror.y_px + self.bar_rows, "source": mirror.origin_source},
            "radius_um": mirror.radius_um,
            "ci95": {
                "radius_um": list(mirror.ci95_um),
                **({} if constant is None else {"mirror_constant_mpa_sqrt_m": list(constant.ci95)}),
            },
            "mist_hackle_um": mirror.mist_hackle_px * mirror.pixel_size_um,
            "directions": _directions(mirror),
            "amplitude": mirror.amplitude,
            "share": mirror.share,
            "stress_mpa": None if constant is None else constant.stress_mpa,
            "mirror_constant_mpa_sqrt_m": None if constant is None else constant.value,
            "warnings": mirror.warnings,
        }


def _measure(
    micrograph: Micrograph, origin: tuple[float, float] | None, stress: float | None, error: float, seed: int
) -> _Measured:
    assert micrograph.scale.pixel_size_um is not None
    bar = find_info_bar(micrograph.pixels)
    pixels = crop_info_bar(micrograph.pixels, bar)
    above = 0 if bar is None or bar.edge == "bottom" else bar.bottom
    start = None if origin is None else (origin[0], origin[1] - above)
    try:
        mirror = measure_mirror(pixels, micrograph.scale.pixel_size_um, origin=start, seed=seed)
    except ImageError as failure:
        raise ImageError(f"{micrograph.path}: {failure.message}", failure.hint) from failure
    constant = None if stress is None else mirror_constant(mirror, stress, error)
    return _Measured(str(micrograph.path), micrograph.scale.source, mirror, constant, above)


def _directions(mirror: FractureMirror) -> list[dict[str, float]]:
    """Return the radius in the directions that show the boundary, degrees with y downwards."""
    return [
        {"degrees": math.degrees(angle), "radius_um": radius * mirror.pixel_size_um}
        for angle, radius in zip(mirror.angles.tolist(), mirror.by_direction_px.tolist(), strict=True)
        if math.isfinite(radius)
    ]


def _specimen(measured: Sequence[_Measured]) -> dict[str, Any] | None:
    """Return the entry of the image that shows the mirror best, as the specimen's; None for a single image.

    Pictures of one mirror share its wandering and its hackle, so their mean is little surer than the best of them.
    """
    if len(measured) < 2:
        return None
    best = min(measured, key=lambda each: (not each.mirror.fair_view, abs(math.log(each.mirror.share / _BEST_SHARE))))
    entry = best.as_dict()
    kept = ("image", "radius_um", "ci95", "mist_hackle_um", "stress_mpa", "mirror_constant_mpa_sqrt_m", "warnings")
    return {"n_images": len(measured), **{key: entry[key] for key in kept}}


def _write_overlay(folder: Path, number: int, micrograph: Micrograph, measured: _Measured) -> None:
    pixels = crop_info_bar(micrograph.pixels, find_info_bar(micrograph.pixels))
    stem = (micrograph.path or Path("image")).stem[:60]
    with atomic_write(folder / f"{number:05d}-{stem}.png") as file:
        Image.fromarray(draw_mirror(pixels, measured.mirror)).save(file, format="PNG")


def _write_table(folder: Path, measured: Sequence[_Measured]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for each in measured:
        mirror, constant = each.mirror, each.constant
        bounds = ("", "") if constant is None else tuple(f"{bound:.5g}" for bound in constant.ci95)
        writer.writerow([
            each.path, f"{mirror.pixel_size_um:.6g}", f"{mirror.x_px:.1f}", f"{mirror.y_px + each.bar_rows:.1f}",
            mirror.origin_source, f"{mirror.radius_um:.5g}", *(f"{bound:.5g}" for bound in mirror.ci95_um),
            f"{mirror.mist_hackle_px * mirror.pixel_size_um:.5g}",
            f"{mirror.amplitude:.3f}", f"{mirror.share:.3f}",
            "" if constant is None else f"{constant.stress_mpa:.5g}",
            "" if constant is None else f"{constant.value:.5g}", *bounds, "; ".join(mirror.warnings),
        ])  # fmt: skip
    with atomic_write(folder / "mirrors.csv") as file:
        file.write(text.getvalue().encode("utf-8", "backslashreplace"))
