"""One verdict a specimen beside those on its images: who belongs together, what is written, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fractures import RECIPE, Fractures
from sorby.bundle import open_bundle
from sorby.classify import Recipe
from sorby.classify.flags import FLAGS
from sorby.classify.recipe import load
from sorby.classify.specimens.judge import SpecimenJudge
from sorby.cli import cli
from sorby.cli._frame import run
from sorby.corpus import Corpus, build
from sorby.errors import BundleError, InputError
from sorby.micrograph import read
from sorby.micrograph.info_bar import crop_info_bar, find_info_bar
from sorby.workflow import train
from sorby.workflow.inspection import inspect
from sorby.workflow.opening import open_classifier
from sorby.workflow.planning import make_plan
from sorby.workflow.specimens.seeing import Seen, looked_at, magnification_in_name
from sorby.workflow.specimens.teaching import Teaching, teach_specimens
from sorby.workflow.specimens.verdicts import COLUMNS, Specimens

CLASSES = ("green_body", "hard_machining", "material")


@pytest.fixture(scope="module")
def judged(fractures: Fractures, tmp_path_factory) -> tuple[dict, pd.DataFrame, pd.DataFrame]:
    """What ``inspect --by-specimen labels.csv --specimen-judge`` says, and its two tables."""
    out = tmp_path_factory.mktemp("judged") / "out"
    result = inspect(
        fractures.bundle, [fractures.images], out, by_specimen=fractures.labels, specimen_judge=fractures.judge,
        device="cpu",
    )  # fmt: skip
    return result, pd.read_csv(out / "specimens.csv", keep_default_na=False), pd.read_csv(
        out / "verdicts.csv", keep_default_na=False
    )  # fmt: skip


def test_each_specimen_has_one_row_whose_parts_fit_together(fractures: Fractures, judged) -> None:
    result, specimens, verdicts = judged
    known = fractures.table()
    assert list(specimens) == [*COLUMNS, *(f"p_{name}" for name in CLASSES)]
    assert list(specimens["specimen"]) == sorted(known["specimen"].unique())
    assert list(specimens["n_images"]) == known.groupby("specimen").size().tolist()
    p = specimens[[f"p_{name}" for name in CLASSES]].to_numpy()
    assert p.sum(axis=1) == pytest.approx(1.0, abs=2e-4), "four digits are written"
    assert list(specimens["label"]) == [CLASSES[k] for k in p.argmax(axis=1)]
    assert ((specimens["reason"] != "") == (specimens["referred"].astype(str).str.lower() == "true")).all()
    own = known.assign(name=known["path"].str.split("/").str[-1]).groupby("specimen")["name"].agg(set)
    for _, row in specimens.iterrows():
        carried = set(row["images_that_carried"].split("|"))
        assert carried
        assert carried <= own[row["specimen"]]
    assert len(verdicts) == len(known)
    assert result["by_specimen"]["n"] == len(specimens)
    told = {one["specimen"]: "|".join(one["reasons"]) for one in result["by_specimen"]["referred_specimens"]}
    assert told == dict(specimens.loc[specimens["reason"] != "", ["specimen", "reason"]].to_numpy())


def test_specimens_it_was_taught_on_are_named_right(fractures: Fractures, judged) -> None:
    truth = fractures.table().groupby("specimen")["label"].first()
    _, specimens, _ = judged
    assert (truth[specimens["specimen"]].to_numpy() == specimens["label"]).mean() > 0.9


def test_flags_are_reason_codes_of_images_and_of_specimens(judged) -> None:
    _, specimens, verdicts = judged
    codes = {code for reason in verdicts["reason"] for code in reason.split("|") if code}
    assert codes & set(FLAGS), "some pictures are stained or lack the origin"
    low = verdicts["reason"].str.contains("low-magnification-only")
    assert (low == (verdicts["label"] == "material")).all(), "all magnifications count as low here"
    expert = specimens["reason"].str.contains("low-magnification-only")
    assert (expert == (specimens["label"] == "material")).all()


def test_the_rare_class_is_called_from_the_stored_threshold_on(fractures: Fractures, judged) -> None:
    _, specimens, _ = judged
    judge = SpecimenJudge.from_bundle(open_bundle(fractures.judge))
    assert judge.rare["class"] == "material"
    assert judge.rare["wanted"] == pytest.approx(0.7)
    assert judge.rare["attained"]
    assert judge.rare["precision"]["value"] >= 0.7
    assert judge.rare["recall"]["value"] <= judge.rare["recall_without"]["value"]
    assert judge.rules.rare_threshold == pytest.approx(judge.rare["threshold"])
    called = specimens["label"] == "material"
    unsure = specimens["reason"].str.contains("rare-class-unsure")
    p = specimens["p_material"].to_numpy()
    clear = np.abs(p - judge.rules.rare_threshold) > 1e-4  # four digits are written
    assert (unsure == (called & (p < judge.rules.rare_threshold)))[clear].all()


def test_folders_are_specimens_without_any_judge(fractures: Fractures, tmp_path) -> None:
    rows = fractures.table().groupby("specimen").head(2).head(8)
    for _, row in rows.iterrows():
        place = tmp_path / "series" / row["specimen"]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(fractures.folder / row["path"], place)
    code = run(cli, ["inspect", str(fractures.bundle), str(tmp_path / "series"), "--out", str(tmp_path / "out"),
                     "--by-specimen", "folder", "--device", "cpu"])  # fmt: skip
    assert code == 0
    found = pd.read_csv(tmp_path / "out" / "specimens.csv", keep_default_na=False)
    assert [name.rsplit("/", 1)[-1] for name in found["specimen"]] == sorted(rows["specimen"].unique())
    assert (found["n_images"] == 2).all()
    verdicts = pd.read_csv(tmp_path / "out" / "verdicts.csv", keep_default_na=False)
    mean = verdicts.assign(of=[name.rsplit("/", 1)[0] for name in verdicts["image"]]).groupby("of")["p_material"].mean()
    assert found["p_material"].to_numpy() == pytest.approx(mean.to_numpy(), abs=2e-4), "the images are averaged"
    said = json.loads((tmp_path / "out" / "inspection.json").read_text())["by_specimen"]
    assert said["method"] == "mean-probability"
    assert "majority vote" in said["guarantee"]


def test_images_that_state_no_magnification_are_counted_where_it_would_matter(fractures: Fractures, tmp_path) -> None:
    pixels = read(next(fractures.images.iterdir())).pixels
    (tmp_path / "in").mkdir()
    Image.fromarray(crop_info_bar(pixels, find_info_bar(pixels))).save(tmp_path / "in" / "a.png")
    found = inspect(
        fractures.bundle, [tmp_path / "in"], tmp_path / "out", by_specimen="folder", specimen_judge=fractures.judge,
        device="cpu",
    )  # fmt: skip
    assert any(line.startswith("1 images state no magnification") for line in found["warnings"])
    stated = inspect(
        fractures.bundle, [tmp_path / "in"], tmp_path / "stated", by_specimen="folder", magnification=50.0,
        specimen_judge=fractures.judge, device="cpu",
    )  # fmt: skip
    assert not any("magnification" in line for line in stated["warnings"])


def test_images_are_looked_at_again_when_all_have_their_verdict(fractures: Fractures) -> None:
    classifier, _ = open_classifier(fractures.bundle)
    judge = SpecimenJudge.from_bundle(open_bundle(fractures.judge))
    files = sorted(fractures.images.iterdir())
    came = []

    def verdicts():
        for verdict in classifier.inspect(files, device="cpu"):
            came.append(verdict.image)
            yield verdict

    seen = Seen()
    passed = looked_at(classifier, judge, verdicts(), seen, device="cpu")
    assert next(passed).image == files[0]
    # The network cannot look at an image again while it is busy with those ahead.
    assert came == files
    assert [verdict.image for verdict in passed] == files[1:]
    assert len(seen.features) == len(seen.flags) == len(seen.magnification) == len(files)


def test_an_image_that_the_table_does_not_name_is_refused_before_anything_is_written(fractures, tmp_path) -> None:
    rows = fractures.table().assign(path=lambda t: [str(fractures.folder / path) for path in t["path"]])
    rows.iloc[1:].to_csv(tmp_path / "some.csv", index=False)
    with pytest.raises(InputError, match="names no specimen for it"):
        inspect(fractures.bundle, [fractures.images], tmp_path / "out", by_specimen=tmp_path / "some.csv")
    assert not (tmp_path / "out").exists()


def test_an_image_of_two_specimens_is_refused(tmp_path) -> None:
    (tmp_path / "t.csv").write_text("image,specimen\na.png,1\na.png,2\n")
    with pytest.raises(InputError, match=r"a\.png belongs to two specimens"):
        Specimens.open(tmp_path / "t.csv")


def test_a_table_without_specimens_is_refused(tmp_path) -> None:
    (tmp_path / "t.csv").write_text("image,piece\na.png,1\n")
    with pytest.raises(InputError, match="columns image and specimen are needed"):
        Specimens.open(tmp_path / "t.csv")


def test_a_judge_without_specimens_is_refused(fractures: Fractures, tmp_path) -> None:
    with pytest.raises(InputError, match="a specimen judge judges specimens"):
        inspect(fractures.bundle, [fractures.images], tmp_path / "out", specimen_judge=fractures.judge)


def test_a_judge_of_another_classifier_is_refused(fractures: Fractures, tmp_path) -> None:
    other = train(fractures.labels, tmp_path / "run", load(None, {**RECIPE, "seed": 7}), report=False, device="cpu")
    with pytest.raises(BundleError, match="another classifier"):
        inspect(
            other["bundle"], [fractures.images], tmp_path / "out", by_specimen=fractures.labels,
            specimen_judge=fractures.judge, device="cpu",
        )  # fmt: skip


def test_a_classifier_is_no_judge(fractures: Fractures, tmp_path) -> None:
    with pytest.raises(BundleError, match="not a specimen judge"):
        inspect(
            fractures.bundle, [fractures.images], tmp_path / "out", by_specimen=fractures.labels,
            specimen_judge=fractures.bundle,
        )  # fmt: skip


def test_the_rare_class_says_whose_probabilities_its_precision_holds_for(fractures: Fractures, capsys) -> None:
    """Not those of the model that gives verdicts: it has seen every specimen that the threshold was chosen on."""
    judge = SpecimenJudge.from_bundle(open_bundle(fractures.judge))
    assert judge.rare["holds_for"].startswith("cross-fitted probabilities")
    assert run(cli, ["specimens", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Show it with this confidence" in said
    assert "Promise it" not in said


@pytest.mark.parametrize("place", ["file/judge.sorby", "/proc/nowhere/judge.sorby"])
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_read(tmp_path, place: str) -> None:
    """Neither bundle nor data are there: the place is the first that is said."""
    (tmp_path / "file").write_text("in the way")
    if place.startswith("/proc") and not Path("/proc").is_dir():
        pytest.skip("no such file system here")
    with pytest.raises(InputError, match="cannot write here") as caught:
        teach_specimens(tmp_path / "none.sorby", tmp_path / "none.csv", tmp_path / place)
    assert "--out" in caught.value.hint


def test_classes_that_the_classifier_does_not_know_cannot_be_rare(fractures: Fractures, tmp_path) -> None:
    with pytest.raises(InputError, match="'pore' is no class"):
        teach_specimens(fractures.bundle, fractures.labels, tmp_path / "j.sorby", Teaching(rare_class="pore"))


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("a_250x_3.tif", 250.0),
        ("a-4kx.tif", 4000.0),
        ("2.5kX.png", 2500.0),
        ("a_00050x_003.tif", 50.0),
        ("a_50x_100x.tif", None),
        ("box12.tif", None),
        ("x20.tif", None),
    ],
)
def test_magnifications_in_names(name: str, stated: float | None, tmp_path) -> None:
    assert magnification_in_name(tmp_path / name) == stated


def test_flags_that_nobody_marked_are_not_taught_and_it_is_said(fractures: Fractures, tmp_path) -> None:
    marked = SpecimenJudge.from_bundle(open_bundle(fractures.judge))
    assert set(marked.heads) <= {"origin-not-in-view", "contaminated"}
    assert "contaminated" in marked.heads
    table = fractures.table().drop(columns=["origin_in_view", "contamination", "cues"])
    table["path"] = [str(fractures.folder / path) for path in table["path"]]
    table.to_csv(tmp_path / "bare.csv", index=False)
    found = teach_specimens(
        fractures.bundle, tmp_path / "bare.csv", tmp_path / "bare.sorby", Teaching("feature-mean"), device="cpu"
    )
    assert found["taught_flags"] == {}
    assert set(found["cross_fitted"]) == {"accuracy", "macro_f1", "set_size"}, "coverage would be 1 - alpha by choice"
    assert [line for line in found["warnings"] if line.startswith("flag ")] == [
        "flag origin-not-in-view: no column origin_in_view: it is not given",
        "flag contaminated: no column contamination: it goes by stained shares of the surface",
    ]
    out = inspect(
        fractures.bundle, [fractures.images], tmp_path / "out", by_specimen=fractures.labels,
        specimen_judge=tmp_path / "bare.sorby", device="cpu",
    )  # fmt: skip
    assert "origin-not-in-view" not in out["reasons"]


def test_a_corpus_without_specimens_names_the_column_that_may_hold_them(fractures: Fractures) -> None:
    corpus = build([fractures.labels]).corpus
    part = corpus.table["specimen"].astype(str)
    renamed = Corpus(corpus.table.drop(columns="specimen").assign(part=part), corpus.root)
    said = " ".join(make_plan(renamed, Recipe()).warnings)
    assert "too good for new ones" in said
    assert "part" in said.split("one of: ")[1]
    assert not any("one of: " in line for line in make_plan(corpus, Recipe()).warnings)
