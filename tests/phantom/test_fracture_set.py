"""Sets of fracture phantoms: imbalance, series, info bars, tags, files."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sorby import micrograph
from sorby.errors import InputError
from sorby.phantom.fracture import (
    CUES,
    LABELS,
    MAGNIFICATIONS,
    VENDORS,
    FractureSpecimen,
    FractureView,
    ViewPlan,
    field_width_um,
    fracture_set,
    render,
    with_bar,
    write_view,
    write_views,
)

SMALL = (256, 192)


def test_material_is_twelve_times_rarer_than_machining():
    counts = Counter(specimen.label for specimen in fracture_set(240))
    assert counts["hard_machining"] / counts["material"] == pytest.approx(12.4, rel=0.1)
    assert counts["green_body"] / counts["material"] == pytest.approx(10.5, rel=0.1)


def test_few_specimens_still_hold_two_of_each_cause():
    assert all(count >= 2 for count in Counter(specimen.label for specimen in fracture_set(12)).values())
    assert Counter(specimen.label for specimen in fracture_set(20, unknown=0.2))["unknown"] == 4
    with pytest.raises(InputError, match="too few"):
        fracture_set(5)
    with pytest.raises(InputError, match="share"):
        fracture_set(20, unknown=1.0)


def test_every_series_has_all_magnifications_and_whole_fragments():
    for specimen in fracture_set(30, 2):
        assert {view.magnification for view in specimen.views} == set(MAGNIFICATIONS)
        assert {view.fragment for view in specimen.views} <= {fragment.name for fragment in specimen.fragments}
        assert [view.number for view in specimen.views] == list(range(1, len(specimen.views) + 1))


def test_some_origins_are_missed():
    seen = [
        render(specimen, view, (48, 36)).origin_in_view for specimen in fracture_set(9, 4) for view in specimen.views
    ]
    assert 0.03 < 1 - np.mean(seen) < 0.35


@pytest.mark.parametrize("size", [SMALL, (1024, 768)])
@pytest.mark.parametrize("vendor", VENDORS)
def test_scale_bars_are_true_to_a_pixel(vendor, size):
    specimen = FractureSpecimen.draw(1, "material", vendor=vendor)
    for magnification in (50, 1000, 10000):
        view = with_bar(_blank(magnification, size), specimen)
        value, unit = _length(view.scale_label)
        assert abs(view.scale_px - value * unit / view.pixel_size_um) <= 0.5
        assert view.pixels.shape == view.cues.shape == (size[1] + view.bar_rows, size[0])
        assert 0.03 < view.scale_px / size[0] < 0.55
        assert _drawn_length(_bar(view), vendor) == pytest.approx(view.scale_px, abs=1)


def _blank(magnification, size):
    """A view of nothing: bars know the picture's size and scale only."""
    empty = np.zeros((size[1], size[0]), dtype=np.uint8)
    plan = ViewPlan(1, float(magnification))
    pixel_um = field_width_um(magnification) / size[0]
    return FractureView(empty, empty, plan, float(magnification), pixel_um, False, 0.0)


def _length(label):
    number = float(label.rstrip("µumn ").replace(",", "."))
    return number, {"nm": 1e-3, "µm": 1.0, "um": 1.0, "mm": 1e3}[label[-2:]]


def _bar(view):
    return view.pixels[: view.bar_rows] if view.bar_top == 0 else view.pixels[view.bar_top :]


def _drawn_length(bar, vendor):
    """Measure the scale bar as it stands: the longest straight line of ink, or the ticks from first to last."""
    ink = np.abs(bar.astype(int) - int(np.median(bar))) > 128
    if vendor == "hitachi":
        columns = np.flatnonzero(ink[3])
        return columns[-1] - columns[0] + 1 - max(1, bar.shape[1] // 400)
    if vendor == "fei":
        ink = ink[1:-1, : bar.shape[1] - 1]
        # The line may stop for its label: its ends are the outermost ink of its row, right of the last cell.
        frames = np.flatnonzero(ink.all(axis=0))
        ink = ink[:, frames[-1] + 1 :]
        row = max(range(len(ink)), key=lambda r: _longest_run(ink[r]))
        columns = np.flatnonzero(ink[row])
        return columns[-1] - columns[0] + 1
    return max(_longest_run(row) for row in ink)


def _longest_run(row):
    edges = np.diff(np.concatenate([[0], row.astype(int), [0]]))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return int((ends - starts).max()) if len(starts) else 0


def test_bars_lie_where_the_truth_says_and_hide_nothing():
    for seed in range(8):
        specimen = FractureSpecimen.draw(seed, "green_body")
        bare = render(specimen, 500, SMALL)
        view = with_bar(bare, specimen)
        rest = view.pixels[view.bar_rows :] if view.bar_top == 0 else view.pixels[: view.bar_top]
        assert np.array_equal(rest, bare.pixels)
        assert view.bar_top == (0 if specimen.bar_at == "top" else 192)


@pytest.mark.parametrize("vendor", ["fei", "zeiss"])
@pytest.mark.parametrize("magnification", [50, 2000, 10000])
def test_tags_tell_pixel_size_and_magnification(tmp_path, vendor, magnification):
    specimen = FractureSpecimen.draw(3, "material", vendor=vendor)
    view = with_bar(render(specimen, magnification, SMALL), specimen)
    write_view(tmp_path / "a.tif", view, specimen)
    image = micrograph.read(tmp_path / "a.tif")
    assert image.scale.source == vendor
    # Six digits are written.
    assert image.scale.pixel_size_um == pytest.approx(view.pixel_size_um, rel=1e-5)
    assert image.scale.magnification == pytest.approx(magnification, rel=1e-4)
    assert np.array_equal(np.asarray(image.pixels), view.pixels)


def test_a_written_set_holds_pictures_masks_and_truth(tmp_path):
    specimens = fracture_set(6, 1)
    done = []
    table = write_views(tmp_path / "set", specimens, size=(96, 72), jobs=1, progress=lambda n, of: done.append((n, of)))
    assert done[-1] == (len(table), len(table))
    assert set(table["label"]) == set(LABELS)
    assert len(pd.read_csv(tmp_path / "set" / "specimens.csv")) == 6
    for row in table.head(12).itertuples():
        with Image.open(tmp_path / "set" / row.path) as picture, Image.open(tmp_path / "set" / row.mask) as cues:
            assert picture.size == cues.size == (96, 72 + row.bar_rows)
            assert set(np.unique(cues)) <= set(CUES.values())
    again = write_views(tmp_path / "again", specimens[:1], size=(96, 72), jobs=1)
    first = (tmp_path / "set" / table["path"][0]).read_bytes()
    assert first == (tmp_path / "again" / again["path"][0]).read_bytes()
