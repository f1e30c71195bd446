"""The head that reads the magnification: it uses it, it misses it, and bundle and training agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sorby.classify.classifier import with_magnification
from sorby.classify.heads import HeadSpec, Targets, fit_head
from sorby.classify.heads.magnification import MagnificationReadout
from sorby.classify.recipe import BalanceSection, HeadSection, load
from sorby.errors import InputError
from sorby.workflow import evaluate, inspect, train
from sorby.workflow.explaining import explain
from sorby.workflow.opening import open_classifier
from textures import SMALL, write_table

POWERS = np.array([50.0, 250.0, 1000.0, 10000.0])


def _readout(scaling: str) -> MagnificationReadout:
    readout = MagnificationReadout(3, 2, scaling, torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    readout.adapt(with_magnification(np.eye(4, 2, dtype=np.float32), POWERS))
    return readout


@pytest.mark.parametrize(
    ("scaling", "wanted"),
    [
        ("log10", (np.log10(POWERS) - np.log10(POWERS).mean()) / np.log10(POWERS).std()),
        ("z", (POWERS - POWERS.mean()) / POWERS.std()),
        ("minmax", (POWERS - 50) / 9950),
        ("raw", POWERS),
    ],
)
def test_each_scaling_is_what_it_says_and_the_unknown_is_the_mean(scaling: str, wanted: np.ndarray) -> None:
    readout = _readout(scaling)
    found = readout.encode(torch.tensor([*POWERS, np.nan], dtype=torch.float32)).numpy()
    np.testing.assert_allclose(found[:-1], wanted, rtol=1e-5, atol=1e-6)
    assert found[-1] == pytest.approx(wanted.mean(), rel=1e-5, abs=1e-6)


def test_the_network_has_the_published_widths() -> None:
    readout = MagnificationReadout(769, 3, "log10", torch.Generator().manual_seed(0))
    shapes = [tuple(weight.shape) for weight in readout.weights()]
    assert shapes == [(32, 1), (64, 32), (512, 832), (256, 512), (128, 256), (3, 128)]
    assert [part.p for part in readout.joint if isinstance(part, torch.nn.Dropout)] == [0.3] * 3


def test_a_class_that_the_magnification_alone_tells_is_learnt_and_the_unknown_is_taken_as_usual() -> None:
    """Features say nothing; the class is whether the magnification is above 500."""
    rng = np.random.default_rng(0)
    power = rng.choice(POWERS, 80)
    labels = (power > 500).astype(np.intp)
    features = with_magnification(np.zeros((80, 6), np.float32), power)
    spec = HeadSpec(classes=("a", "b"), inputs=7, sharing="magnification", magnification="log10")
    folds = np.arange(80) % 2
    fitted, again = (
        fit_head(features, Targets.plain(labels), spec, folds, HeadSection(), BalanceSection(), seed=3)
        for _ in range(2)
    )
    assert (fitted.cross_logits.argmax(1) == labels).all()
    np.testing.assert_array_equal(fitted.cross_logits, again.cross_logits)
    usual = np.exp(np.log(power).mean())
    unknown, mean = (with_magnification(features[:1, :-1], np.array([each])) for each in (np.nan, usual))
    np.testing.assert_allclose(fitted.head.scores(unknown), fitted.head.scores(mean), rtol=1e-3, atol=1e-3)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Textures with a magnification each; two images state none."""
    place = tmp_path_factory.mktemp("powers")
    path = write_table(place, specimens=8)
    table = pd.read_csv(path)
    table["magnification"] = POWERS[np.arange(len(table)) % 4]
    table.loc[[3, 20], "magnification"] = np.nan
    table.to_csv(path, index=False)
    return path


COLUMNS = {"image": "picture", "label": "structure", "group": "piece"}


def test_images_without_a_magnification_are_named_or_left_out_and_counted(table: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"2 of 48 images state none: .*blobs-01-1") as caught:
        train(table, tmp_path / "run", load(None, {**SMALL, "head.magnification": "log10"}), report=False, **COLUMNS)
    assert "missing_magnification=drop" in caught.value.hint


def test_from_table_to_bundle_to_verdict(table: Path, tmp_path: Path) -> None:
    settings = {
        **SMALL,
        "head.magnification": "log10",
        "head.missing_magnification": "drop",
        "head.folds": 2,
        "verdict.novelty_rate": 0.1,
    }
    result = train(table, tmp_path / "run", load(None, settings), **COLUMNS)
    assert (tmp_path / "run" / "report.html").is_file()
    assert sum(result["split"].values()) == 46
    bundle = tmp_path / "run" / "bundle.sorby"
    classifier, opened = open_classifier(bundle)
    assert classifier.reads_magnification
    assert opened.description.model["head"]["magnification"] == "log10"
    assert any("magnification" in line for line in opened.description.limits)
    files = sorted((table.parent / "images").glob("*.png"))[:3]
    inspect(bundle, files, tmp_path / "without")
    inspect(bundle, files, tmp_path / "with", magnification=250.0)
    without = pd.read_csv(tmp_path / "without" / "verdicts.csv")
    given = pd.read_csv(tmp_path / "with" / "verdicts.csv")
    assert without["reason"].str.contains("magnification-unknown").all()
    assert not given["reason"].astype(str).str.contains("magnification-unknown").any()
    scored = evaluate(bundle, table, **COLUMNS)
    assert scored["n"] == 48
    images = np.stack([np.zeros((64, 64, 1), np.uint8), np.full((64, 64, 1), 200, np.uint8)])
    assert explain(classifier, images, magnification=50.0).maps.shape == (2, 64, 64)


@pytest.mark.parametrize(
    "settings",
    [{"regime": "finetune"}, {"head.sharing": "hard"}, {"head.kind": "staged"}],
)
def test_where_it_cannot_be_read_it_is_refused(settings: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"head\.magnification"):
        load(None, {"head.magnification": "z", **settings})
