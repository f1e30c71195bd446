"""What a camera does wrong shows in its frames, as far as it can show."""

from __future__ import annotations

import json

import numpy as np

from sorby.line.sources import ArraySource
from sorby.line.watching import CameraWatch, Watched
from webs import Pixels, web


def _smooth(rows: int, width: int, seed: int = 2) -> Pixels:
    """Texture whose neighbouring lines resemble each other."""
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(0, 1, (rows, width)), 6)
    return np.clip(120 + 30 * field / field.std(), 0, 255).astype(np.uint8)


def _kinds(frames: list[Pixels]) -> list[list[str]]:
    watch = CameraWatch()
    return [[kind for kind, _ in watch.look(frame)] for frame in frames]


def test_ordinary_frames_are_ordinary() -> None:
    assert _kinds([web(50, 200, seed) for seed in range(8)]) == [[]] * 8
    texture = _smooth(400, 200)
    assert _kinds([texture[a : a + 50] for a in range(0, 400, 50)]) == [[]] * 8


def test_a_frame_that_comes_again_is_a_stuck_camera() -> None:
    a, b = web(50, 200, 1), web(50, 200, 2)
    assert _kinds([a, b, b, b, a]) == [[], [], ["stuck-camera"], ["stuck-camera"], []]


def test_a_line_that_comes_again_is_a_stuck_camera() -> None:
    assert _kinds([np.repeat(web(1, 200), 50, axis=0)]) == [["stuck-camera"]]


def test_saturation_and_darkness() -> None:
    bright, dark = web(50, 200), np.zeros((50, 200), np.uint8)
    bright[:, :40] = 255
    dark[3, 5] = 1  # noise
    assert _kinds([bright, dark]) == [["saturation"], ["dark"]]


def test_specular_spots_are_no_saturation(rng: np.random.Generator) -> None:
    frame = web(100, 200)
    frame[rng.random(frame.shape) < 0.02] = 255
    assert _kinds([frame]) == [[]]


def test_left_and_right_exchanged_shows_in_an_uneven_brightness() -> None:
    frames = [web(50, 200, seed) for seed in range(6)]
    frames[3] = frames[3][:, ::-1]
    assert _kinds(frames) == [[], [], [], ["flipped"], [], []]


def test_in_an_even_brightness_it_cannot_show() -> None:
    rng = np.random.default_rng(0)
    frames = [np.clip(rng.normal(120, 4, (50, 200)), 0, 255).astype(np.uint8) for _ in range(4)]
    frames[2] = frames[2][:, ::-1]
    assert _kinds(frames) == [[]] * 4


def test_clouds_that_wander_across_the_web_are_not_taken_for_a_mirrored_frame() -> None:
    from scipy import ndimage

    rng = np.random.default_rng(8)
    field = ndimage.gaussian_filter(rng.normal(0, 1, (8000, 400)), (150, 40))
    clouds = np.clip(120 + 12 * field / field.std() + rng.normal(0, 4, field.shape), 0, 255).astype(np.uint8)
    assert not any("flipped" in kinds for kinds in _kinds([clouds[a : a + 200] for a in range(0, 8000, 200)]))


def test_first_and_last_line_exchanged_shows_where_lines_resemble_their_neighbours() -> None:
    texture = _smooth(300, 200)
    frames = [texture[a : a + 50] for a in range(0, 300, 50)]
    frames[3] = frames[3][::-1]
    assert _kinds(frames)[3] == ["flipped"]


def test_a_watch_taken_up_judges_as_the_one_that_went_on() -> None:
    texture = _smooth(400, 200)
    frames = [texture[a : a + 50] for a in range(0, 400, 50)]
    frames[3], frames[5] = frames[3][::-1], frames[4]
    source = Watched(ArraySource(lambda: frames))
    items = list(source.items())
    kinds = [[each.kind for each in getattr(item, "incidents", ())] for item in items]
    assert kinds[3] == ["flipped"]
    assert kinds[5] == ["stuck-camera"]
    for number, item in enumerate(items):
        cursor = json.loads(json.dumps(item.cursor))
        again = [[each.kind for each in getattr(each, "incidents", ())] for each in source.items(cursor)]
        assert again == kinds[number:]
