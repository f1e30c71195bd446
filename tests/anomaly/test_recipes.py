"""The detector recipes that come with sorby: each loads, and says what its paper says."""

from __future__ import annotations

import pytest

from sorby.anomaly import recipe as recipes


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_loads_under_its_own_name(name):
    assert recipes.load(name).name == name


@pytest.mark.parametrize(("stem", "c"), [("scratches", 1), ("scratches-c3", 3), ("scratches-c5", 5)])
@pytest.mark.parametrize("prefix", ["membrane-", "membrane-padim-b4-"])
def test_scratches_lie_on_a_6c_by_3c_grid_and_only_the_coarse_one_is_turned(prefix, stem, c):
    recipe = recipes.load(prefix + stem)
    assert (recipe.views.kind, recipe.views.rows, recipe.views.columns) == ("grid", 6 * c, 3 * c)
    assert recipe.augment == ("turns" if c == 1 else "none")


@pytest.mark.parametrize("name", [name for name in recipes.names() if name.startswith("membrane-")])
def test_membrane_recipes_keep_what_yan_et_al_fixed(name):
    recipe = recipes.load(name)
    assert (recipe.image.height, recipe.image.width, recipe.image.sizing) == (224, 224, "resize")
    assert (recipe.density.kind, recipe.density.epsilon) == ("position", 0.01)
    assert (recipe.features.kind, recipe.features.count) == ("random", 100)
    assert (recipe.smoothing.kind, recipe.smoothing.sigma_px, recipe.threshold.rule) == ("pixels", 4.0, "f1")
    if "b4" in name:
        assert (recipe.backbone.name, recipe.backbone.blocks) == ("efficientnet_b4", (3, 7, 17))


def test_the_web_has_one_gaussian_and_a_threshold_of_good_tiles():
    recipe = recipes.load("web")
    assert (recipe.density.kind, recipe.smoothing.kind) == ("pooled", "grid")
    assert (recipe.threshold.unit, recipe.threshold.false_alarm_rate) == ("view", 0.001)
