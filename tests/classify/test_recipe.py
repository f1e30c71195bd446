"""Recipes: what they refuse, and that they say why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sorby.classify.recipe import dump, load, names
from sorby.errors import InputError


def test_every_recipe_that_comes_with_sorby_is_valid() -> None:
    assert {"frozen", "finetune", "fracture-vit"} <= set(names())
    for name in names():
        assert load(name).name == name


def test_the_recipe_named_frozen_is_the_default() -> None:
    assert load("frozen").model_copy(update={"name": "default"}) == load()


@pytest.mark.parametrize("name", ["frozen", "fracture-vit"])
def test_a_recipe_written_out_reads_back_the_same(tmp_path: Path, name: str) -> None:
    recipe = load(name, {"head.c_grid": "[.5, 2]", "seed": 7})
    (tmp_path / "recipe.yaml").write_text(dump(recipe), "utf-8")
    assert load(tmp_path / "recipe.yaml") == recipe


def test_single_fields_are_overridden() -> None:
    recipe = load(None, {"head.folds": "3", "split.fractions": "[.5, .25, .25]", "seed": 4, "name": "mine"})
    assert recipe.head.folds == 3
    assert recipe.split.fractions == (0.5, 0.25, 0.25)
    assert (recipe.seed, recipe.name) == (4, "mine")


@pytest.mark.parametrize(
    ("settings", "said", "hinted"),
    [
        ({"head.fold": 3}, "head.fold", "did you mean folds"),
        ({"heads.folds": 3}, "heads", "did you mean head"),
        ({"head.folds": 1}, "head.folds", ""),
        ({"head.folds": "many"}, "head.folds", ""),
        ({"head.folds": "[3"}, "not a value", "lists"),
        ({"head.c_grid": "[1, -1]"}, "head.c_grid", ""),
        ({"head": 3}, "head", ""),
        ({"seed.x": 3}, "", ""),
        ({"regime": "thawed"}, "regime", "frozen, finetune"),
        ({"image.colour": "blue"}, "image.colour", "auto, grey, rgb"),
        ({"split.fractions": "[.8, .2, 0]"}, "test part", ""),
        ({"split.fractions": "[.8, .3, .2]"}, "fractions", ""),
        ({"balance.loss": "focal"}, "frozen regime", ""),
        ({"balance.sampling": "weighted"}, "frozen regime", ""),
        ({"regime": "finetune", "balance.loss": "focal", "finetune.mixup": 0.8}, "finetune.mixup", ""),
        ({"regime": "finetune", "head.kind": "staged", "finetune.cutmix": 1.0}, "head.kind=flat", ""),
        ({"finetune.schedule_unit": "batch"}, "finetune.schedule_unit", "step, micro-batch"),
        ({"finetune.patch_drop": 1.0}, "finetune.patch_drop", ""),
        ({"head.views": 8, "image.height": 64}, "head.views=8", ""),
        ({"seed": -1}, "seed", ""),
        ({"verdict.alpha": 0.7}, "verdict.alpha", ""),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_that_names_it(settings: dict[str, Any], said: str, hinted: str) -> None:
    with pytest.raises(InputError) as caught:
        load(None, settings)
    assert said in caught.value.message
    assert hinted in caught.value.hint
    assert caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("text", ["head: [", "- 1\n- 2", "head: 3", "just words", "\tname: x"])
def test_files_that_are_no_recipe_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(InputError, match=r"recipe\.yaml"):
        load(tmp_path / "recipe.yaml")


def test_a_recipe_is_data_not_a_program(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(f"name: !!python/object/apply:os.mkdir ['{tmp_path / 'made'}']")
    with pytest.raises(InputError):
        load(tmp_path / "recipe.yaml")
    assert not (tmp_path / "made").exists()


def test_an_unknown_recipe_names_those_there_are() -> None:
    with pytest.raises(InputError, match="no recipe nothing") as caught:
        load("nothing")
    assert "frozen" in caught.value.hint


def test_two_networks_know_no_auxiliary_task():
    with pytest.raises(InputError, match=r"head\.auxiliary"):
        load(None, {"head.kind": "staged", "backbone.size_name": "resnet18", "head.auxiliary": "length"})
