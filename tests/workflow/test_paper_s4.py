"""S4: published figures that must agree with each other, and its tables and figures on phantoms."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fractures import MAGNIFICATIONS, RECIPE, Fractures
from sorby.classify.recipe import load
from sorby.corpus import Corpus
from sorby.errors import InputError
from sorby.evidence.intervals import t_interval_from_summary
from sorby.workflow.papers import run_fracture_paper
from sorby.workflow.papers import schmid2026 as s4
from sorby.workflow.papers.fracture import FractureOptions
from sorby.workflow.papers.fracture_archive import TRUTH_COLUMNS, read_as_archive
from sorby.workflow.phantoms import write_fracture_corpus

SEED_OF_FOLDS = 42  # of the frozen recipe


@pytest.mark.parametrize("metric", sorted(s4.TABLE_2))
def test_published_intervals_are_t_over_five_folds(metric: str) -> None:
    printed = s4.TABLE_2[metric]
    low, high = printed.estimate().ci95 or (np.nan, np.nan)
    # Mean and SD are rounded to three digits: half a digit of each.
    assert low == pytest.approx(printed.ci95[0], abs=0.0012)
    assert high == pytest.approx(printed.ci95[1], abs=0.0012)


def test_published_intervals_are_not_normal() -> None:
    printed = s4.TABLE_2["accuracy"]
    half = 1.96 * printed.sd / np.sqrt(5)
    assert round(printed.mean - half, 3) == 0.900 != printed.ci95[0]
    assert t_interval_from_summary(0.907, 0.008, 5).ci95 == pytest.approx((0.8971, 0.9169), abs=5e-5)


def test_macro_means_of_table_3_are_those_of_table_2_but_for_rounding() -> None:
    assert s4.macro("recall") == pytest.approx(s4.TABLE_2["macro_recall"].mean, abs=6e-4)
    assert s4.macro("precision") == pytest.approx(s4.TABLE_2["macro_precision"].mean, abs=1e-3)
    assert round(s4.macro("f1"), 4) == 0.8893


def test_the_published_gap_is_that_of_accuracy() -> None:
    gap = s4.TABLE_2["gap"].mean
    assert s4.TABLE_2["train_macro_f1"].mean - s4.TABLE_2["macro_f1"].mean == pytest.approx(0.110)
    assert gap == pytest.approx(s4.TABLE_2["train_macro_f1"].mean - s4.TABLE_2["accuracy"].mean, abs=1.1e-3)


def test_row_shares_weigh_folds_by_size_and_pass_over_folds_without_the_class() -> None:
    small, large = [[1, 1], [0, 0]], [[6, 2], [1, 3]]
    found = s4.weighted_row_shares([small, large])
    # First row: (2 * 1/2 + 12 * 3/4) / 14; second: only the larger fold holds the class.
    assert found[0] == pytest.approx([(2 * 0.5 + 12 * 0.75) / 14, (2 * 0.5 + 12 * 0.25) / 14])
    assert found[1] == pytest.approx([0.25, 0.75])
    assert np.isnan(s4.weighted_row_shares([small])[1]).all()


@pytest.fixture(scope="module")
def paper(fractures: Fractures, tmp_path_factory: pytest.TempPathFactory) -> dict:
    out = tmp_path_factory.mktemp("s4")
    recipe = load("fracture-frozen", RECIPE)
    return run_fracture_paper(
        out, fractures.labels, recipe=recipe, options=FractureOptions(folds=3, studies=False), device="cpu"
    )


def test_both_protocols_stand_beside_the_published_figures(paper: dict) -> None:
    rows = {row["metric"]: row for row in paper["table"]}
    assert set(rows) == set(s4.TABLE_2)
    for row in rows.values():
        assert "not comparable" in row["flag"]
        for key in ("ours_by_image", "ours_by_specimen"):
            assert len(row[key]["folds"]) == 3
    gap = rows["gap"]["ours_by_specimen"]["mean"]
    assert gap == pytest.approx(
        rows["train_macro_f1"]["ours_by_specimen"]["mean"] - rows["macro_f1"]["ours_by_specimen"]["mean"]
    )


def test_specimens_leak_by_image_and_never_by_specimen(paper: dict) -> None:
    table = paper["cells"]["table_1"]
    assert sum(row["specimens_shared"] for row in table["by_image"]["folds"]) > 0
    assert sum(row["specimens_shared"] for row in table["by_specimen"]["folds"]) == 0
    found = paper["cells"]["inflation"]["macro_f1"]
    assert found["difference"]["value"] == pytest.approx(found["by_image"] - found["by_specimen"])
    low, high = found["difference"]["ci95"]
    assert low <= found["difference"]["value"] <= high


def test_fig_3_rows_sum_to_one_and_fig_4_has_every_magnification(paper: dict) -> None:
    cells = paper["cells"]
    for truth in {row["truth"] for row in cells["fig_3"]}:
        own = [row["ours_by_specimen"] for row in cells["fig_3"] if row["truth"] == truth]
        assert sum(own) == pytest.approx(1)
    assert [row["magnification"] for row in cells["fig_4"]] == list(MAGNIFICATIONS)
    assert sum(row["n"] for row in cells["fig_4"]) == cells["n"]


def test_the_page_holds_every_table_and_figure_and_the_json_every_cell(paper: dict) -> None:
    page = Path(paper["report"]).read_text(encoding="utf-8")
    for title in ("Figs. 1 and 2", "Table 1", "Table 2", "Table 3", "Fig. 3", "Fig. 4", "Fig. 5", "Fig. 6"):
        assert title in page
    for flaw in s4.FLAWS:
        assert flaw.split(":")[0][:40] in page.replace("&#39;", "'")
    stored = json.loads((Path(paper["report"]).parent / "paper.json").read_text(encoding="utf-8"))
    assert stored["cells"]["table_3"] == json.loads(json.dumps(paper["cells"]["table_3"]))


def test_a_study_that_the_corpus_is_too_small_for_leaves_the_tables(fractures: Fractures, tmp_path: Path) -> None:
    table = fractures.table()
    place = "image" if "image" in table else "path"
    table[place] = [str(fractures.folder / name) for name in table[place]]
    few = table.groupby("label")["specimen"].unique().map(lambda names: list(names[:3])).explode()
    table[table["specimen"].isin(few)].drop(columns="cues", errors="ignore").to_csv(tmp_path / "few.csv", index=False)
    found = run_fracture_paper(
        tmp_path / "out", tmp_path / "few.csv", recipe=load("fracture-frozen", RECIPE),
        options=FractureOptions(folds=3, maps=False), device="cpu",
    )  # fmt: skip
    missed = [line for line in found["warnings"] if "was not made" in line]
    assert any(line.startswith("study triage was not made: 9 specimens are too few") for line in missed)
    assert found["cells"]["table_3"]
    assert "Study triage was not made" in Path(found["report"]).read_text(encoding="utf-8")


def test_without_specimens_or_with_two_folds_it_is_refused(fractures: Fractures, tmp_path: Path) -> None:
    table = fractures.table().drop(columns="specimen")
    table["image"] = [str(fractures.folder / name) for name in table["image" if "image" in table else "path"]]
    table.drop(columns="path", errors="ignore").to_csv(tmp_path / "bare.csv", index=False)
    with pytest.raises(InputError, match="specimen"):
        run_fracture_paper(tmp_path / "a", tmp_path / "bare.csv", recipe=load("fracture-frozen", RECIPE))
    with pytest.raises(InputError, match="2 folds"):
        run_fracture_paper(
            tmp_path / "b", fractures.labels, recipe=load("fracture-frozen", RECIPE), options=FractureOptions(folds=2)
        )


def test_a_phantom_archive_is_read_as_an_archive_and_keeps_what_only_its_truth_knows(tmp_path: Path) -> None:
    write_fracture_corpus(tmp_path / "phantom", 6, seed=2, size="small")
    built = read_as_archive(tmp_path / "phantom", tmp_path / "read")
    corpus = Corpus.load(tmp_path / "read" / "corpus.parquet")
    assert built["rows"] == len(corpus)
    assert sum(built["matched"].values()) == len(corpus)
    assert set(TRUTH_COLUMNS) <= set(corpus.table)
    assert corpus.table["phantom"].astype(bool).all(), "the archive's rules say that it is rendered"
    cues = [corpus.root / name for name in corpus.table["cues"].dropna()]
    assert cues
    assert all(path.is_file() for path in cues)
    true = Corpus.load(tmp_path / "phantom" / "corpus.parquet").table
    for table in (corpus.table, true):
        assert table["phantom"].astype(str).str.lower().eq("true").all(), "no figure passes for one of real specimens"
    assert true["phantom_specimen"].nunique() == 6


@pytest.mark.slow
def test_a_fine_tuned_recipe_adds_the_learning_curves(fractures: Fractures, tmp_path: Path) -> None:
    recipe = load("fracture-lite0", {**RECIPE, "finetune.epochs": 2, "finetune.warmup_steps": 2})
    found = run_fracture_paper(
        tmp_path, fractures.labels, recipe=recipe, options=FractureOptions(folds=3, maps=False, studies=False),
        device="cpu",
    )  # fmt: skip
    page = Path(found["report"]).read_text(encoding="utf-8")
    assert "learning curves" in page
    assert not (tmp_path / "state").exists()
