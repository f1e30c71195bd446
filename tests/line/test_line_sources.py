"""Sources give every line once, in order, and say what is missing."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from sorby.errors import ImageError, InputError
from sorby.line.lines import Levels, LineBlock, LineSource, LostLines
from sorby.line.raw_stream import RawFormat, RawStream, evident_width
from sorby.line.sources import ArraySource, FolderSource, TallImage, frame_numbers, natural_order
from webs import Pixels, web


def _folder(place: Path, whole: Pixels, rows: int, name: str = "strip_{:03d}.png") -> list[Path]:
    place.mkdir(parents=True)
    files = []
    for k, a in enumerate(range(0, len(whole), rows)):
        files.append(place / name.format(k))
        Image.fromarray(whole[a : a + rows]).save(files[-1])
    return files


def _pixels(source: LineSource, cursor: Any = None) -> Pixels:
    return np.concatenate([item.pixels for item in source.items(cursor) if isinstance(item, LineBlock)])


def _lost(source: LineSource) -> list[tuple[int | None, bool]]:
    return [(item.rows, bool(item.quarantined)) for item in source.items() if isinstance(item, LostLines)]


def test_a_folder_is_read_in_name_order_with_digits_as_numbers(tmp_path: Path) -> None:
    whole = web(360, 40)
    _folder(tmp_path / "web", whole, 30, "s{}.png")  # s2 comes before s10
    source = FolderSource(tmp_path / "web")
    assert np.array_equal(_pixels(source), whole)
    assert source.rows_total == 360
    assert source.width == 40
    assert sorted([Path("a10"), Path("a9"), Path("b1")], key=natural_order) == [Path("a9"), Path("a10"), Path("b1")]


def test_every_cursor_takes_a_folder_up_where_it_points(tmp_path: Path) -> None:
    files = _folder(tmp_path / "web", web(300, 40), 30)
    files[3].unlink()
    files[6].write_bytes(b"no image")
    source = FolderSource(tmp_path / "web")
    items = list(source.items())
    for number, item in enumerate(items):
        again = list(source.items(item.cursor))
        assert [type(each) for each in again] == [type(each) for each in items[number:]]
        assert [each.rows for each in again] == [each.rows for each in items[number:]]


def test_a_missing_number_is_a_gap_as_long_as_its_neighbours_tell(tmp_path: Path) -> None:
    files = _folder(tmp_path / "web", web(300, 40), 30)
    files[4].unlink()
    files[5].unlink()
    source = FolderSource(tmp_path / "web")
    assert _lost(source) == [(60, False)]
    assert source.rows_total == 300


def test_an_unreadable_file_is_set_aside_with_the_length_its_neighbours_tell(tmp_path: Path) -> None:
    files = _folder(tmp_path / "web", web(300, 40), 30)
    files[4].write_bytes(b"")
    assert _lost(FolderSource(tmp_path / "web")) == [(30, True)]
    Image.fromarray(web(31, 40)).save(files[3])  # now they disagree
    assert _lost(FolderSource(tmp_path / "web")) == [(None, True)]


def test_a_truncated_image_states_its_own_length(tmp_path: Path) -> None:
    files = _folder(tmp_path / "web", web(300, 40), 30)
    Image.fromarray(web(44, 40)).save(files[4])
    files[4].write_bytes(files[4].read_bytes()[:-200])
    assert _lost(FolderSource(tmp_path / "web")) == [(44, True)]


def test_numbers_count_only_where_names_differ_by_them_alone() -> None:
    assert frame_numbers(["f1", "f2", "f4"]) == [0, 1, 3]
    assert frame_numbers(["f100", "f110", "f130"]) == [0, 1, 3]
    assert frame_numbers(["a1", "b2", "c9"]) is None
    assert frame_numbers(["f1", "f2"]) is None
    assert frame_numbers(["left", "middle", "right"]) is None


def test_folders_without_a_readable_image_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no images"):
        FolderSource(tmp_path)
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match="none of its 1 images"):
        FolderSource(tmp_path)


def test_sheets_do_not_continue_each_other(tmp_path: Path) -> None:
    _folder(tmp_path / "web", web(90, 40), 30)
    breaks = [
        item.breaks for item in FolderSource(tmp_path / "web", separate=True).items() if isinstance(item, LineBlock)
    ]
    assert breaks == [False, True, True]


@pytest.mark.parametrize("name", ["tall.tif", "packed.tif", "tall.png"])
def test_a_tall_image_is_read_in_pieces_and_from_any_of_them(tmp_path: Path, name: str) -> None:
    whole, file = web(500, 64), tmp_path / name
    if name == "tall.tif":
        tifffile.imwrite(file, whole)
    elif name == "packed.tif":
        tifffile.imwrite(file, whole, compression="zlib")
    else:
        Image.fromarray(whole).save(file)
    source = TallImage(file, block_rows=128)
    assert np.array_equal(_pixels(source), whole)
    cursor = [item.cursor for item in source.items()][2]
    assert np.array_equal(_pixels(source, cursor), whole[256:])


def test_arrays_of_a_program_can_be_taken_up_because_they_are_made_again() -> None:
    whole = web(100, 16)
    source = ArraySource(lambda: [whole[:40], LostLines(5, "lost", "x"), whole[40:]])
    items = list(source.items())
    assert [item.cursor for item in items] == [0, 1, 2]
    assert np.array_equal(_pixels(source, 2), whole[40:])
    with pytest.raises(InputError, match="yields no lines"):
        ArraySource(lambda: [])


# -- levels -----------------------------------------------------------------------------------------------------


def test_sixteen_bits_become_eight_by_one_fixed_rule() -> None:
    deep = np.array([[0, 257, 65535]], np.uint16)
    assert Levels().apply(deep).tolist() == [[0, 1, 255]]
    assert Levels(100, 355).apply(np.array([[100, 101, 355, 9000]], np.uint16)).tolist() == [[0, 1, 255, 255]]
    # The same value gives the same grey, whatever else the strip holds: scores stay comparable along the roll.
    assert Levels().apply(np.array([[257, 300]], np.uint16))[0, 0] == Levels().apply(deep)[0, 1]


def test_floats_need_a_stated_white() -> None:
    with pytest.raises(ImageError, match="no stated white"):
        Levels().apply(np.zeros((2, 2), np.float32))
    assert Levels(0, 1).apply(np.array([[0.5, 2.0]], np.float32)).tolist() == [[128, 255]]
    with pytest.raises(InputError, match="not above"):
        Levels(10, 5)


# -- raw streams ------------------------------------------------------------------------------------------------


def test_a_raw_file_is_read_from_any_line(tmp_path: Path) -> None:
    whole, file = web(300, 48), tmp_path / "web.raw"
    whole.tofile(file)
    source = RawStream(file, RawFormat(48), block_rows=64)
    assert source.rows_total == 300
    assert np.array_equal(_pixels(source), whole)
    assert np.array_equal(_pixels(source, 130), whole[130:])


def test_sixteen_bit_lines_are_little_endian() -> None:
    deep = (np.arange(48 * 20, dtype=np.uint16) * 60).reshape(20, 48)
    source = RawStream(io.BytesIO(deep.astype("<u2").tobytes()), RawFormat(48, "uint16"))
    assert np.array_equal(_pixels(source), Levels().apply(deep))


def test_a_stream_that_ends_within_a_line_gives_the_whole_ones_and_says_so() -> None:
    whole = web(70, 48)
    source = RawStream(io.BytesIO(whole.tobytes() + b"\x01" * 20), RawFormat(48), block_rows=64)
    items = [item for item in source.items() if isinstance(item, LineBlock)]
    assert np.array_equal(np.concatenate([item.pixels for item in items]), whole)
    told = [each for item in items for each in item.incidents]
    assert [each.kind for each in told] == ["truncated"]
    assert "20 of 48 bytes" in told[0].message


def test_a_file_of_no_whole_number_of_lines_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "web.raw"
    web(30, 48).tofile(file)
    with pytest.raises(InputError, match="no whole number of lines of 47"):
        RawStream(file, RawFormat(47))
    file.write_bytes(b"")
    with pytest.raises(InputError, match="empty"):
        RawStream(file, RawFormat(48))


def test_an_empty_stream_is_refused() -> None:
    with pytest.raises(InputError, match="before the first line"):
        list(RawStream(io.BytesIO(b"abc"), RawFormat(48)).items())


def test_a_wrong_width_shows_in_the_pixels_themselves() -> None:
    rng = np.random.default_rng(5)
    columns = 120 + 40 * np.sin(np.linspace(0, 9, 200)) + rng.normal(0, 12, 200)  # streaks along the web
    lines = np.clip(columns + rng.normal(0, 5, (96, 200)), 0, 255).astype(np.uint8)
    assert evident_width(lines) is None
    assert evident_width(lines.reshape(-1, 150)) == 200
    assert evident_width(lines[:90].reshape(-1, 240)) == 200
    noise = rng.integers(0, 255, (64, 200)).astype(np.uint8)
    assert evident_width(noise) is None  # nothing to tell it by
    with pytest.raises(InputError, match="200 pixels wide, not 150"):
        list(RawStream(io.BytesIO(lines.tobytes()), RawFormat(150)).items())


def test_a_named_pipe_is_read_until_it_closes(tmp_path: Path) -> None:
    pipe, whole = tmp_path / "pipe", web(150, 48)
    os.mkfifo(pipe)

    def send() -> None:
        with open(pipe, "wb") as file:
            for a in range(0, 150, 7):  # pieces that are no whole blocks
                file.write(whole[a : a + 7].tobytes())
                file.flush()

    sender = threading.Thread(target=send)
    sender.start()
    source = RawStream(pipe, RawFormat(48), block_rows=64)
    assert source.rows_total is None
    assert np.array_equal(_pixels(source), whole)
    sender.join()
    assert all(item.cursor is None for item in RawStream(io.BytesIO(whole.tobytes()), RawFormat(48)).items())
