"""``sorby corpus region``, and training on regions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sorby.backbone import FeatureExtractor, Preprocessing, load
from sorby.cli import cli
from sorby.cli._frame import run
from sorby.errors import InputError
from sorby.micrograph.region import NO_SURFACE, write_region
from sorby.phantom import Border, Lognormal, SteelSpec, render_novel, render_steel
from sorby.workflow.regions import write_regions


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two micrographs, one with resin at the top, and one of nothing but resin."""
    folder = tmp_path_factory.mktemp("micrographs")
    for name, share in (("plain", 0.0), ("beside", 0.12)):
        spec = SteelSpec("G", Lognormal(4.5, 0.35), size_px=(320, 320), border=Border(share))
        Image.fromarray(render_steel(spec, 3).pixels).save(folder / f"{name}.png")
    Image.fromarray(render_novel("resin", 2, size_px=(320, 320)).pixels).save(folder / "resin.png")
    return folder


@pytest.fixture
def images(rendered: Path, tmp_path: Path) -> Path:
    """A copy that a test may write into."""
    return Path(shutil.copytree(rendered, tmp_path / "images"))


def test_masks_and_pictures_lie_beside_the_images_and_all_resin_is_set_aside(images: Path) -> None:
    result = write_regions([images])
    assert [Path(entry["file"]).stem for entry in result["images"]] == ["beside", "plain"]
    assert [(Path(entry["file"]).stem, entry["reason"]) for entry in result["quarantined"]] == [("resin", NO_SURFACE)]
    beside, plain = result["images"]
    assert beside["excluded"]["resin"] > 0.08
    assert plain["excluded"]["resin"] == 0
    assert 0.7 < beside["kept"] < plain["kept"] < 1
    written = sorted(path.name for path in images.iterdir() if "region" in path.name)
    assert written == [
        "beside.region-overlay.png",
        "beside.region.png",
        "plain.region-overlay.png",
        "plain.region.png",
    ]
    mask = np.asarray(Image.open(images / "beside.region.png"))
    assert (mask > 0).mean() == pytest.approx(beside["kept"])
    assert set(np.unique(mask)) == {0, 255}


def test_an_edited_mask_stands_until_overwriting_is_asked_for(images: Path) -> None:
    write_regions([images])
    edited = np.zeros((320, 320), bool)
    edited[100:300, 20:300] = True
    write_region(images / "beside.region.png", edited)
    again = write_regions([images])
    entry = again["images"][0]
    assert (entry["source"], entry["kept"]) == ("file", pytest.approx(edited.mean()))
    assert entry["rectangle"] == {"top": 100, "left": 20, "height": 200, "width": 280}
    assert again["written"] == 0
    assert np.array_equal(np.asarray(Image.open(images / "beside.region.png")) > 0, edited)
    assert write_regions([images], overwrite=True)["images"][0]["source"] == "proposal"
    assert not np.array_equal(np.asarray(Image.open(images / "beside.region.png")) > 0, edited)


def test_masks_may_be_written_elsewhere(images: Path, tmp_path: Path) -> None:
    result = write_regions([images], tmp_path / "masks")
    assert (tmp_path / "masks" / "plain.region.png").is_file()
    assert result["images"][0]["mask"] == str(tmp_path / "masks" / "beside.region.png")
    assert not list(images.glob("*.region*"))


def test_a_damaged_region_file_sets_its_image_aside(images: Path) -> None:
    (images / "plain.region.png").write_bytes(b"no picture")
    reasons = {Path(entry["file"]).stem: entry["reason"] for entry in write_regions([images])["quarantined"]}
    assert "plain.region.png" in reasons["plain"]


def test_two_images_of_one_name_are_refused(images: Path) -> None:
    Image.open(images / "plain.png").convert("RGB").save(images / "plain.jpg")
    with pytest.raises(InputError, match=r"share the region file plain\.region\.png"):
        write_regions([images])


def test_the_command_says_what_it_left_out_and_exits_with_three(
    images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(cli, ["corpus", "region", str(images), "--json"]) == 3
    result = json.loads(capsys.readouterr().out)
    assert set(result["images"][0]) >= {"file", "mask", "kept", "excluded", "notes"}
    assert run(cli, ["corpus", "region", str(images / "plain.png")]) == 0
    assert "plain.png" in capsys.readouterr().out


def test_features_of_a_region_change_with_its_file_and_all_resin_is_quarantined(images: Path) -> None:
    extractor = FeatureExtractor(load("efficientnet_lite0"), Preprocessing(region="auto"))
    files = [images / "beside.png", images / "resin.png"]
    proposed = extractor.extract(files)
    assert proposed.kept.tolist() == [0]
    assert proposed.quarantined[0].reason == NO_SURFACE
    mask = np.zeros((320, 320), bool)
    mask[120:300, 20:200] = True
    write_region(images / "beside.region.png", mask)
    edited = extractor.extract(files)
    assert edited.from_cache == 0
    assert not np.array_equal(edited.features, proposed.features)
    assert extractor.extract(files).from_cache == 1
