"""What generated images bring: who teaches and who judges, and what a generator may have seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sorby.classify.recipe import load
from sorby.errors import InputError
from sorby.workflow.experiments import run_experiment
from sorby.workflow.experiments.bench import Bench, open_bench
from sorby.workflow.experiments.few_originals import codes_of, rounds_of
from sorby.workflow.experiments.registry import Request, find
from sorby.workflow.experiments.synthetic_images import BOTH, FROZEN, ORIGINALS, whole_pictures
from sorby.workflow.experiments.synthetic_teaching import Studio
from textures import SMALL, write_table

#: A generator and a network so small that a fold takes seconds; nothing is learnt of images in so few steps.
TINY = "image.size_px=32 training.steps=2 training.report_every=1 network.width=4 network.discriminator_width=4"

COLUMNS = {"label": "structure", "group": "piece", "image": "picture"}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Two classes of six specimens, two images of each."""
    table = write_table(tmp_path / "data", 6, kinds=("blobs", "stripes"))
    return open_bench(Request(table, tmp_path / "out", load(None, SMALL), "cpu", COLUMNS, {"min_count": 2}))


def specimens(bench: Bench, rows: np.ndarray) -> set[int]:
    return {int(code) for code in codes_of(bench)[rows]}


@pytest.mark.parametrize("protocol", ["one-out", "folds", "rest"])
def test_no_specimen_teaches_and_judges(bench: Bench, protocol: str):
    found = rounds_of(bench, protocol, folds=3, originals="2", draws=3)
    for each in found:
        assert not specimens(bench, each.train) & specimens(bench, each.test)
        assert set(bench.labels[each.train]) == set(range(len(bench.classes)))


def test_left_out_one_by_one_every_image_is_judged_once(bench: Bench):
    found = rounds_of(bench, "one-out", folds=5, originals="", draws=1)
    assert len(found) == len(specimens(bench, np.arange(bench.n)))
    assert sorted(np.concatenate([each.test for each in found]).tolist()) == list(range(bench.n))


def test_drawn_originals_are_one_image_of_each_specimen(bench: Bench):
    drawn = rounds_of(bench, "rest", folds=5, originals="2,3", draws=2)
    for each in drawn:
        assert np.bincount(bench.labels[each.train]).tolist()[:2] == [2, 3]
        assert len(specimens(bench, each.train)) == len(each.train)
    assert drawn[0].train.tolist() != drawn[1].train.tolist()


@pytest.mark.parametrize(
    ("given", "said"),
    [({"protocol": "twice"}, "protocol=twice"), ({"originals": "2,3,4"}, "fits no"), ({"originals": "500"}, "judge")],
)
def test_protocols_that_cannot_be_are_refused(bench: Bench, given: dict[str, str], said: str):
    asked = {"protocol": "rest", "originals": "2"} | given
    with pytest.raises(InputError, match=said):
        rounds_of(bench, asked["protocol"], folds=3, originals=asked["originals"], draws=1)


@pytest.mark.parametrize(
    "given", [{"exposures": 0}, {"draws": 0}, {"per_original": -1}, {"per_original": 0.01}, {"network": "frozen"}]
)
def test_what_leaves_nothing_to_learn_is_refused_before_anything_is_taught(tmp_path: Path, given: dict[str, Any]):
    table = write_table(tmp_path / "data", 2, kinds=("blobs", "stripes"))
    with pytest.raises(InputError, match=f"{next(iter(given))}="):
        run_experiment(
            "synthetic-images", table, tmp_path / "out", 0, "cpu", recipe=load(None, SMALL), **given, **COLUMNS
        )


def test_generators_learn_whole_pictures_of_stills():
    assert whole_pictures("gan-stills", TINY).image.shorter_edge_px == 32
    with pytest.raises(InputError, match="no field=value"):
        whole_pictures("gan-stills", "steps")
    with pytest.raises(InputError, match="sequences"):
        whole_pictures("gan-frames", "")


def test_generated_images_descend_from_those_that_taught_alone(bench: Bench):
    studio = Studio(bench, load("corrosion-table6"), whole_pictures("gan-stills", TINY), 2.0)
    one = rounds_of(bench, "folds", folds=3, originals="", draws=1)[0]
    made = studio.generated(one.train)
    assert len(made.labels) == 2 * len(one.train)
    assert made.network.shape[1:] == studio.originals.network.shape[1:]
    taught = {studio.names[row] for row in one.train}
    for _, ancestors in studio._made.values():
        assert {name for each in ancestors for name in each} <= taught
    assert len(studio.seconds) == len(bench.classes)
    studio.generated(one.train)
    assert len(studio.seconds) == len(bench.classes), "the same originals are not learnt twice"


@pytest.mark.slow
def test_the_whole_experiment_counts_every_original_once(tmp_path: Path):
    table = write_table(tmp_path / "data", 6, kinds=("blobs", "stripes"))
    found = run_experiment(
        "synthetic-images", table, tmp_path / "out", 0, "cpu", recipe=load(None, SMALL),
        folds=2, generator_set=TINY, exposures=24, per_original=1.0, **COLUMNS,
    )  # fmt: skip
    arms = {row["arm"]: row for row in found["table"]}
    n = sum(sum(row) for row in arms[ORIGINALS]["confusion"])
    assert n == arms[BOTH]["n"] == arms[FROZEN]["n"] == found["judged"]
    assert len(found["leakage"]) == 2
    assert found["mixed"]["all"]["n"] == 2 * n
    assert (tmp_path / "out" / "report.html").is_file()


def test_it_is_listed_among_the_slow_experiments():
    assert find("synthetic-images").slow


def test_a_picture_that_cannot_be_read_ends_it_with_its_name(tmp_path: Path):
    Image.fromarray(np.full((40, 40), 90, np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    rows = [("a.png", "x", "s1"), ("b.png", "x", "s2"), ("a.png", "y", "s3"), ("a.png", "y", "s4")]
    pd.DataFrame(rows, columns=["path", "label", "specimen"]).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(InputError):
        run_experiment("synthetic-images", tmp_path / "t.csv", tmp_path / "out", 0, "cpu", recipe=load(None, SMALL))
