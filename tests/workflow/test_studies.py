"""A round robin from a folder of images to its page: what is handed out, what stays, what comes back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sorby.cli import cli
from sorby.cli._frame import run
from sorby.corpus import Corpus
from sorby.errors import InputError
from sorby.study import Design, form_rows, read_scheme, write_form
from sorby.workflow.studies import new_study
from sorby.workflow.study_reports import report_study, simulate_raters
from textures import CLASSES, Trained, write_folder

SCHEME = """\
name: textures
classes: [{name: blobs}, {name: checks}, {name: stripes}]
ordered: false
flags: [{name: cannot_rate}]
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies")
    write_folder(folder / "images", per_class=6, seed=11)
    (folder / "textures.yaml").write_text(SCHEME, "utf-8")
    return folder


@pytest.fixture(scope="module")
def study(place: Path) -> Path:
    """A study without a model; nobody may change it."""
    new_study(place / "images", place / "study", scheme=place / "textures.yaml", n=6, repeats=2, raters=["Ann", "Bo"])
    return place / "study"


def test_what_is_handed_out_names_neither_label_nor_file(study: Path) -> None:
    design = Design.load(study / "design.json")
    handed = sorted(path for path in (study / "hand-out").rglob("*") if path.is_file())
    codes = {showing.code for showing in design.showings}
    assert {path.stem for path in handed if path.suffix == ".png"} == codes
    assert {path.name for path in handed if path.suffix != ".png"} == {"Ann.csv", "Bo.csv", "instructions.txt"}
    for path in handed:
        content = path.read_bytes()
        assert not any(item.path.encode() in content or item.sha256.encode() in content for item in design.items)
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert not picture.info
    form = pd.read_csv(study / "hand-out" / "forms" / "Ann.csv")
    assert form["image"].tolist() == list(design.orders["Ann"])
    assert form["class"].isna().all()


def test_the_same_seed_makes_the_same_study(place: Path, study: Path) -> None:
    again = place / "again"
    new_study(place / "images", again, scheme=place / "textures.yaml", n=6, repeats=2, raters=["Ann", "Bo"])
    one, other = (Design.load(folder / "design.json") for folder in (study, again))
    assert one.orders == other.orders
    assert one.items == other.items
    for code in one.orders["Ann"]:
        name = f"hand-out/images/{code}.png"
        assert (study / name).read_bytes() == (again / name).read_bytes()


def test_forms_come_back_as_results_and_a_page(study: Path, tmp_path: Path) -> None:
    design = Design.load(study / "design.json")
    for rater in design.raters:
        rows = form_rows(design, rater)
        for row, showing in zip(rows, design.order_of(rater), strict=True):
            label = design.items[design.place[showing.item]].label
            row["class"] = label if rater == "Ann" else "checks"
        write_form(tmp_path / "forms" / f"{rater}.csv", rows)
    found = report_study(study, [tmp_path / "forms"], tmp_path / "results")
    assert found["raters"][0]["code"]["value"] == 1
    assert found["accuracy"]["code"]["value"] == pytest.approx((1 + 1 / 3) / 2)
    stored = json.loads((tmp_path / "results" / "results.json").read_text("utf-8"))
    assert stored["design_sha256"] == design.digest
    page = (tmp_path / "results" / "report.html").read_text("utf-8")
    assert page.count("data:image/jpeg") == 6
    assert len(pd.read_parquet(tmp_path / "results" / "ratings.parquet")) == 16


def test_a_model_helps_to_choose_and_takes_part_under_the_same_conditions(
    trained: Trained, place: Path, tmp_path: Path
) -> None:
    made = new_study(
        place / "images", tmp_path / "study", scheme=place / "textures.yaml", bundle=trained.bundle, n=6, repeats=0,
        raters=2, difficult_share=0.5,
    )  # fmt: skip
    # These textures are told apart without an error: nothing is difficult, and that is said.
    assert made["difficult"] == 0
    assert any("too few wrong" in line for line in made["warnings"])
    assert any("no split is stored" in line for line in made["warnings"])
    design = Design.load(tmp_path / "study" / "design.json")
    rows = [{**row, "class": "blobs"} for row in form_rows(design, "R01")]
    write_form(tmp_path / "forms" / "R01.csv", rows)
    stored = report_study(tmp_path / "study", [tmp_path / "forms"], tmp_path / "a")
    given = report_study(tmp_path / "study", [tmp_path / "forms"], tmp_path / "b", bundle=trained.bundle)
    assert stored["model"]["code"]["accuracy"]["value"] == 1
    assert stored["model"]["verdicts"] == given["model"]["verdicts"]
    assert stored["model"]["warnings"] != []


def test_images_come_from_the_part_that_was_not_taught(trained: Trained, place: Path, tmp_path: Path) -> None:
    corpus = Corpus.load(trained.run / "corpus.parquet")
    new_study(
        trained.run / "corpus.parquet", tmp_path / "study", scheme=place / "textures.yaml", n=5, repeats=0, raters=1
    )
    design = Design.load(tmp_path / "study" / "design.json")
    part = corpus.table.set_index("sha256")["split"].astype(str)
    assert {part[item.sha256] for item in design.items} == {"test"}
    specimens = [item.specimen for item in design.items]
    assert len(set(specimens)) == len(specimens)
    with pytest.raises(InputError, match="no image lies in part holdout"):
        new_study(trained.run / "corpus.parquet", tmp_path / "x", scheme=place / "textures.yaml", part="holdout")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"scheme": "steel"}, "no label is a code of scheme steel"),
        ({"quotas": {"blobs": 60}}, "6 images of class blobs for a quota of 60"),
        ({"raters": ["a/b"]}, "a form cannot be named so"),
        ({"raters": ["A", "A"]}, "raters of a study"),
        ({"repeats": 7}, "7 repeats of 6 images"),
        ({"raters": 0}, "0 raters"),
    ],
)
def test_a_study_that_cannot_be_is_refused_and_leaves_nothing(
    settings: dict[str, object], says: str, place: Path, tmp_path: Path
) -> None:
    asked = {"scheme": place / "textures.yaml", "n": 6, "raters": 2, "repeats": 0, **settings}
    with pytest.raises(InputError, match=says):
        new_study(place / "images", tmp_path / "out", **asked)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_simulated_raters_fill_in_forms_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    rows = []
    (tmp_path / "images").mkdir()
    for k in range(12):
        label = ("G7", "G8", "B7", "M8")[k % 4]
        Image.fromarray(rng.integers(0, 255, (40, 40), dtype=np.uint8)).save(tmp_path / "images" / f"{k}.png")
        rows.append({"path": f"images/{k}.png", "label": label, "subtype": label[0], "mean_needle_length_um": 12.0,
                     "largest_needle_length_um": 30.0, "coarse_area_fraction": 0.0, "etching_depth": 1.0,
                     "retained_austenite_fraction": 0.1, "carbide_fraction": 0.06})  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "steel.csv", index=False)
    asked = {"image": "path", "label": "label"}
    new_study(tmp_path / "steel.csv", tmp_path / "study", n=8, repeats=2, raters=4, **asked)  # type: ignore[arg-type]
    made = simulate_raters(tmp_path / "study", tmp_path / "steel.csv")
    assert made["ratings"] == 4 * 10
    found = report_study(tmp_path / "study", [], tmp_path / "results")
    assert len(found["simulated"]) == 4
    with pytest.raises(InputError, match="filled in already"):
        simulate_raters(tmp_path / "study", tmp_path / "steel.csv")


def test_the_command_line_tells_bad_forms_and_goes_on(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    design = Design.load(study / "design.json")
    rows = [{**row, "class": "checks" if k else "Mars"} for k, row in enumerate(form_rows(design, "Bo"))]
    write_form(tmp_path / "Bo.csv", rows)
    out = tmp_path / "results"
    code = run(cli, ["study", "report", str(study), str(tmp_path / "Bo.csv"), "--out", str(out), "--json"])
    told = capsys.readouterr()
    assert code == 3
    assert json.loads(told.out)["progress"]["ratings"] == 7
    assert "Bo.csv: line 2" in told.err
    assert run(cli, ["study", "new", str(tmp_path), "--out", str(tmp_path / "s"), "--quota", "blobs"]) == 2
    assert "no class=number" in capsys.readouterr().err


def test_the_command_line_gives_agreement_as_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("item,a,b\n1,x,x\n2,y,x\n3,y,y\n", "utf-8")
    assert run(cli, ["study", "agreement", str(path), "--json", "--order", "x,y"]) == 0
    found = json.loads(capsys.readouterr().out)
    for name in ("fleiss_kappa", "gwet_ac1", "krippendorff_alpha", "conger_kappa", "brennan_prediger", "kendall_w"):
        assert {"value", "ci95", "n"} <= set(found[name])
    assert run(cli, ["study", "agreement", str(path)]) == 0
    assert "Gwet's AC1" in capsys.readouterr().out
    assert run(cli, ["study", "agreement", str(tmp_path / "gone.csv")]) == 2


def test_schemes_of_the_house_serve_the_textures_too(place: Path) -> None:
    assert read_scheme(place / "textures.yaml").class_names == CLASSES
