"""``sorby layers`` as a script sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from sorby.cli import cli
from sorby.cli._frame import run
from textures import Trained


def ask(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict, str]:
    code = run(cli, ["layers", *map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else {}, err


def some_images(trained: Trained, count: int) -> list[Path]:
    return sorted(trained.data.parent.rglob("*.png"))[:count]


def test_pictures_and_a_page_of_chosen_layers(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = some_images(trained, 2)
    code, found, _ = ask(capsys, trained.bundle, *images, "--layer", 3, "--layer", 1, "--out", tmp_path / "layers")
    assert code == 0
    assert found["network"] == "efficientnet_lite0"
    assert [layer["number"] for layer in found["images"][0]["layers"]] == [1, 3]
    for image in found["images"]:
        for layer in image["layers"]:
            assert Image.open(layer["file"]).size[0] > 800
    page = Path(found["page"]).read_text("utf-8")
    assert page.count("data:image/jpeg") == 2 * (1 + 2)
    assert "blue_RGB" in page
    assert not list(tmp_path.glob(".*partial"))


def test_a_bad_file_is_set_aside_and_the_others_go_on(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    images = [tmp_path / "broken.png", *some_images(trained, 1)]
    code, found, _ = ask(capsys, trained.bundle, *images, "--layer", 1, "--out", tmp_path / "out", "--map", "bone")
    assert code == 3
    assert [Path(entry["file"]).name for entry in found["quarantined"]] == ["broken.png"]
    assert found["images"][0]["layers"][0]["colour_map"] == "bone"


@pytest.mark.parametrize(
    ("extra", "said"), [(["--layer", 999], "no layer 999"), (["--map", "jet"], "'jet' is not one of")]
)
def test_what_there_is_not_is_one_line(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[object], said: str
) -> None:
    code, _, err = ask(capsys, trained.bundle, *some_images(trained, 1), *extra, "--out", tmp_path / "out")
    assert code == 2
    assert said in err
    assert "hint: " in err
    assert not (tmp_path / "out").exists()
