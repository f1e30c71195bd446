"""Tiles of large images."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from sorby.errors import InputError
from sorby.micrograph import to_uint8
from sorby.station.store import pyramid


def decoded(tile: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(tile)))


def smooth(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return (127 + 60 * np.sin(x / 90) + 60 * np.cos(y / 70)).astype(np.uint8)


def assembled(found: pyramid.Pyramid, z: int) -> np.ndarray:
    level = found.levels[z]
    return np.concatenate(
        [np.concatenate([decoded(found.tile(z, x, y)) for x in range(level.columns)], 1) for y in range(level.rows)]
    )


@pytest.mark.parametrize("size", [(1, 1), (512, 512), (513, 512), (700, 1301), (1025, 2049)])
def test_the_tiles_of_every_level_are_the_image_at_that_size(tmp_path, size):
    image = smooth(*size)
    found = pyramid.write(image, tmp_path / "tiles")
    assert assembled(found, len(found.levels) - 1).shape == size
    for z, level in enumerate(found.levels):
        whole = assembled(found, z)
        assert whole.shape == (level.height, level.width)
        # A pixel of a level stands for the middle of a square of the image. JPEG at 88 of a smooth image is within 4
        # grey levels; a shift by one pixel of the smallest level would be 10 and more.
        step = 2 ** (len(found.levels) - 1 - z)
        y = np.minimum(np.arange(level.height) * step + step // 2, size[0] - 1)
        x = np.minimum(np.arange(level.width) * step + step // 2, size[1] - 1)
        inner = np.s_[: max(1, level.height - 1), : max(1, level.width - 1)]
        assert np.abs(whole[inner].astype(int) - image[np.ix_(y, x)][inner]).max() <= 6
    assert max(found.levels[0].width, found.levels[0].height) <= pyramid.TILE


def test_a_halved_pixel_is_the_mean_of_its_four(tmp_path):
    image = np.random.default_rng(1).integers(0, 256, (2 * 3001, 8), np.uint8)  # more rows than one band
    expected = (image.reshape(3001, 2, 4, 2).astype(int).sum((1, 3)) + 2) // 4
    assert np.array_equal(pyramid.halved(image), expected)


def test_sixteen_bits_are_stretched_as_everywhere(tmp_path):
    deep = smooth(600, 300).astype(np.uint16) * 40 + 3000
    tifffile.imwrite(tmp_path / "a.tif", deep)
    found = pyramid.build(tmp_path / "a.tif", tmp_path / "tiles")
    shown = assembled(found, len(found.levels) - 1).astype(int)
    assert np.abs(shown - to_uint8(deep)).max() <= 8


def test_colour_stays(tmp_path):
    image = np.dstack([smooth(40, 50), 255 - smooth(40, 50), smooth(40, 50)])
    assert decoded(pyramid.write(image, tmp_path / "t").tile(0, 0, 0)).shape == (40, 50, 3)


@pytest.mark.parametrize("place", [(-1, 0, 0), (2, 0, 0), (1, 2, 0), (1, 0, 2), (1, -1, 0), (1, 0, -1)])
def test_there_is_no_tile_outside(tmp_path, place):
    found = pyramid.write(smooth(1000, 1000), tmp_path / "tiles")
    with pytest.raises(InputError):
        found.tile(*place)


def test_a_torn_file_of_tiles_is_not_read(tmp_path):
    pyramid.write(smooth(700, 700), tmp_path / "tiles")
    (tmp_path / "torn").write_bytes((tmp_path / "tiles").read_bytes()[:-3])
    with pytest.raises(InputError, match="no file of tiles"):
        pyramid.load(tmp_path / "torn")
