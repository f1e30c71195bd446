"""The recipes hold what was published, and say what is wrong with a value."""

from pathlib import Path

import pytest

from sorby.errors import InputError
from sorby.synthesize import SynthesisRecipe, load_recipe, recipe_names
from sorby.synthesize.recipe import dump

PUBLISHED = ["gan-five-layer", "gan-frames", "gan-stills"]


def test_every_recipe_loads_under_its_name() -> None:
    assert set(PUBLISHED) < set(recipe_names())
    for name in recipe_names():
        assert load_recipe(name).name == name


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_settings(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.image.size_px == recipe.image.shorter_edge_px == 450
    assert recipe.training.batch_size == 4
    assert recipe.training.generator_rate == 1e-4
    assert recipe.training.discriminator_rate == 1e-5


def test_weights_are_those_of_frame_prediction() -> None:
    recipe = load_recipe("gan-frames")
    assert recipe.losses.model_dump() == {"intensity": 1.0, "gradient": 1.0, "flow": 2.0, "adversarial": 0.05}
    assert recipe.condition.frames == 4
    assert recipe.needs_sequences


def test_who_needs_parents() -> None:
    assert {name for name in recipe_names() if load_recipe(name).needs_parents} == {
        "gan-frames",
        "gan-stills",
        "stills-128",
    }


def test_a_smaller_size_needs_no_other_setting() -> None:
    recipe = load_recipe("gan-stills", {"image.size_px": 128})
    assert recipe.image.shorter_edge_px == 128


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image.original_px": 64}, "original_px is smaller"),
        ({"method": "vae"}, "method"),
        ({"training.step": 5}, "training.step: no such field"),
        ({"method": "gan-stills", "condition.sketch_px": 100}, "sketch_px"),
        ({"losses.adversarial": 0}, "losses.adversarial"),
    ],
)
def test_values_that_cannot_be_are_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_recipe("small-data", settings)


def test_a_recipe_comes_back_from_its_file(tmp_path: Path) -> None:
    recipe = load_recipe("small-data", {"training.steps": 7})
    (tmp_path / "mine.yaml").write_text(dump(recipe))
    assert load_recipe(tmp_path / "mine.yaml") == recipe
    assert SynthesisRecipe.model_validate(recipe.model_dump()) == recipe
