"""Generated images in a corpus: who is joined, who may teach, and who never judges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sorby.corpus import Corpus, build
from sorby.corpus.ancestry import (
    COLUMNS,
    MANIFEST,
    ancestors_of,
    descended,
    describe_ancestry,
    families,
    image_name,
    joined,
    names_of,
    originals_of,
    synthetic_rows,
)
from sorby.corpus.audit import audit
from sorby.corpus.splitting import split_corpus
from sorby.errors import InputError
from sorby.files import sha256_file
from textures import texture, write_table


def write_generated(folder: Path, rows: list[dict[str, str]], seed: int = 9) -> Path:
    """Write textures with a manifest; rows state label, specimen, ancestors and what else differs."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    table = []
    for k, row in enumerate(rows):
        name = f"{row['label']}-{k:03d}.png"
        Image.fromarray(texture(row["label"], rng)).save(folder / name)
        stated = {"path": name, "sha256": sha256_file(folder / name), "synthetic": "true", "accepted": "true"}
        table.append({**dict.fromkeys(COLUMNS, ""), **stated, **row})
    pd.DataFrame(table).to_csv(folder / MANIFEST, index=False)
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Three textures, four specimens each, two images a specimen."""
    return write_table(tmp_path / "data", specimens=4)


def _built(table: Path, *folders: Path) -> Corpus:
    return build([table], image="picture", label="structure", group="piece", synthetic=folders).corpus


def test_a_generated_image_joins_the_specimens_it_descends_from(table: Path, tmp_path: Path) -> None:
    made = write_generated(
        tmp_path / "made",
        [{"label": "blobs", "specimen": "blobs-0", "ancestors": "blobs-0|blobs-2"},
         {"label": "stripes", "specimen": "stripes-1", "ancestors": "stripes-1"}],
    )  # fmt: skip
    corpus = _built(table, made)
    family = families(corpus)
    names = np.array(names_of(corpus))
    synthetic = synthetic_rows(corpus)
    assert synthetic.sum() == 2
    assert len(set(family[np.isin(names, ["blobs-0", "blobs-2"])])) == 1
    assert len(set(family)) == 12 - 1  # two of the twelve specimens became one
    assert family[synthetic][1] == family[names == "stripes-1"][0]
    assert ancestors_of(corpus)[-2] == {"blobs-0", "blobs-2"}
    assert not synthetic_rows(originals_of(corpus)).any()


def test_ancestors_named_by_content_are_found_whatever_the_specimen_is_called(table: Path, tmp_path: Path) -> None:
    first = _built(table).table.iloc[0]
    made = write_generated(tmp_path / "made", [{"label": "blobs", "ancestors": image_name(first["sha256"])}])
    corpus = _built(table, made)
    family = families(corpus)
    assert family[-1] == family[0]
    assert descended(corpus, np.array([len(corpus) - 1]), np.array([0])).tolist() == [True]
    assert descended(corpus, np.array([len(corpus) - 1]), np.array([5])).tolist() == [False]


def test_a_split_leaves_descendants_of_judged_specimens_out(table: Path, tmp_path: Path) -> None:
    stored = split_corpus(_built(table), "holdout", fractions=(0.5, 0, 0.5), seed=1)
    stored.save(tmp_path / "originals.parquet")
    parts = dict(zip(stored.table["specimen"], stored.table["split"], strict=True))
    teaching = sorted(name for name, part in parts.items() if part == "train" and name.startswith("blobs"))
    judged = next(name for name, part in parts.items() if part == "test" and name.startswith("blobs"))
    made = write_generated(
        tmp_path / "made",
        [{"label": "blobs", "ancestors": joined(teaching)}, {"label": "blobs", "ancestors": f"{teaching[0]}|{judged}"}],
    )
    built = build([tmp_path / "originals.parquet"], synthetic=[made])
    rows = built.corpus.table.iloc[-2:]
    assert rows["split"].tolist() == ["train", None]
    assert rows["exclusion"].tolist() == [None, "descends from judged specimens"]
    assert any("teach the generator from the training part" in line for line in built.warnings)


def test_refused_images_stay_listed_and_take_no_part(table: Path, tmp_path: Path) -> None:
    made = write_generated(
        tmp_path / "made",
        [{"label": "blobs", "ancestors": "blobs-0", "accepted": "false", "reason": "copy|flat"},
         {"label": "blobs", "ancestors": "blobs-0"}],
    )  # fmt: skip
    corpus = _built(table, made)
    assert len(corpus) == 24 + 2
    assert len(corpus.usable()) == 24 + 1
    assert corpus.excluded() == {"rejected by the gate": 1}


def test_the_audit_names_generated_images_that_cross_the_split(table: Path, tmp_path: Path) -> None:
    made = write_generated(tmp_path / "made", [{"label": "blobs", "ancestors": "blobs-0|blobs-1"}])
    corpus = _built(table, made)
    names = np.array(names_of(corpus))
    assert describe_ancestry(_built(table)) is None
    leaky = corpus.with_split(np.where(names == "blobs-1", "test", "train"), "by hand")
    found = audit(leaky, ssim=None)["synthetic"]
    assert found["n"] == 1
    assert found["straddling"]["split"] == {"descend": 1, "judging": 0}
    assert "descend from judged specimens" in found["warnings"][0]
    moved = np.isin(names, ["blobs-0", "blobs-1"]) | synthetic_rows(corpus)
    judging = corpus.with_split(np.where(moved, "test", "train"), "by hand")
    result = audit(judging, ssim=None)
    assert result["synthetic"]["straddling"]["split"] == {"descend": 0, "judging": 1}
    assert result["leakage"]["split: train | test"]["n"] == 4  # two specimens' images; the generated one does not count


def test_a_manifest_that_cannot_be_believed_is_refused(table: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        build([table], image="picture", label="structure", synthetic=[tmp_path])
    orphan = write_generated(tmp_path / "orphan", [{"label": "blobs", "ancestors": ""}])
    with pytest.raises(InputError, match="names no ancestor"):
        _built(table, orphan)
    other = write_generated(tmp_path / "other", [{"label": "blobs", "ancestors": "blobs-0", "sha256": "0" * 64}])
    with pytest.raises(InputError, match="not the image"):
        _built(table, other)
    with pytest.raises(InputError, match="separates ancestors"):
        joined(["a|b"])


def test_ancestry_survives_storage(table: Path, tmp_path: Path) -> None:
    made = write_generated(
        tmp_path / "made", [{"label": "blobs", "specimen": "blobs-0", "ancestors": "blobs-0|blobs-3"}]
    )
    corpus = _built(table, made)
    corpus.save(tmp_path / "elsewhere" / "corpus.parquet")
    again = Corpus.load(tmp_path / "elsewhere" / "corpus.parquet")
    assert synthetic_rows(again).sum() == 1
    assert ancestors_of(again)[-1] == {"blobs-0", "blobs-3"}
    assert (families(again) == families(corpus)).all()


def test_a_stored_split_keeps_joined_specimens_in_one_part(table: Path, tmp_path: Path) -> None:
    made = write_generated(tmp_path / "made", [{"label": "blobs", "ancestors": "blobs-0|blobs-1|stripes-2"}])
    corpus = _built(table, made)
    together = np.isin(names_of(corpus), ["blobs-0", "blobs-1", "stripes-2"]) | synthetic_rows(corpus)
    for seed in range(5):
        folds = split_corpus(corpus, "kfold", folds=3, seed=seed).table["fold"].to_numpy()
        assert len(set(folds[together])) == 1


@pytest.mark.parametrize("path", ["../secret.png", "/etc/hosts", "C:\\\\secret.png", "blobs/../../secret.png", ""])
def test_a_manifest_names_nothing_outside_its_folder(table: Path, tmp_path: Path, path: str) -> None:
    made = write_generated(tmp_path / "made", [{"label": "blobs", "ancestors": "blobs-0", "path": path, "sha256": ""}])
    with pytest.raises(InputError, match=r"line 2: .* is no picture within the folder"):
        _built(table, made)


def test_marks_of_generated_images_may_be_ones_with_gaps(table: Path) -> None:
    corpus = _built(table)
    marks = pd.Series([1.0] + [np.nan] * (len(corpus) - 1), index=corpus.table.index)
    marked = Corpus(corpus.table.assign(synthetic=marks), corpus.root)
    assert synthetic_rows(marked).tolist() == [True] + [False] * (len(corpus) - 1)
