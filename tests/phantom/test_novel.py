"""What is not steel as taught looks unlike it, on the same microscopes."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.errors import InputError
from sorby.phantom import NOVEL_KINDS, render_novel


@pytest.mark.parametrize("kind", list(NOVEL_KINDS))
def test_every_kind_renders_and_repeats(kind: str) -> None:
    first, again = (render_novel(kind, 4, size_px=(200, 240)) for _ in range(2))
    assert first.pixels.shape == (200, 240, 3)
    assert np.array_equal(first.pixels, again.pixels)
    assert not np.array_equal(first.pixels, render_novel(kind, 5, size_px=(200, 240)).pixels)


def test_a_defocused_field_holds_no_fine_structure() -> None:
    def sharpness(kind: str) -> float:
        grey = render_novel(kind, 2, micron_bar=False).pixels[..., 1].astype(float)
        binned = grey.reshape(112, 4, 112, 4).mean((1, 3))  # averages the camera's noise away
        return float(np.abs(np.diff(binned, axis=0)).mean())

    assert sharpness("defocused") < 0.3 * sharpness("pearlite")


def test_ferrite_is_bright_with_dark_boundaries_and_resin_is_dark() -> None:
    ferrite = render_novel("ferrite", 3, micron_bar=False).pixels[..., 1].astype(float)
    resin = render_novel("resin", 3, micron_bar=False).pixels[..., 1].astype(float)
    assert np.median(ferrite) > 140
    assert np.percentile(ferrite, 3) < 0.75 * np.median(ferrite)
    assert resin.mean() < 100


def test_an_unknown_kind_is_refused_with_the_choices() -> None:
    with pytest.raises(InputError) as error:
        render_novel("granite", 1)
    assert "pearlite" in error.value.hint
