"""Teaching: deterministic, resumable, complete about what descends from what; refusals in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from small_generators import sequences, small, surfaces
from sorby.errors import InputError
from sorby.synthesize import Generator, SynthesisRecipe, Taught, losses, teach

METHODS = ["gan-five-layer", "gan-frames", "gan-stills", "small-data"]


def originals(recipe: SynthesisRecipe) -> dict[str, Any]:
    if recipe.needs_sequences:
        return {"316L": sequences(3), "AZ31B": sequences(2)}
    return {"316L": surfaces(4), "AZ31B": surfaces(3, seed=1)}


def named(images: dict[str, Any]) -> dict[str, list[str]]:
    return {label: [f"{label}-{k}" for k in range(len(each))] for label, each in images.items()}


def taught(recipe: SynthesisRecipe, folder: Path | None = None, seed: int = 3, **more: Any) -> Taught:
    images = originals(recipe)
    return teach(images, named(images), recipe, seed=seed, device="cpu", state_folder=folder, **more)


def sampled(generator: Generator, label: str = "316L", count: int = 3, seed: int = 5) -> Any:
    given = originals(generator.recipe)[label] if generator.needs_parents else None
    names = None if given is None else [f"parent-{k}" for k in range(len(given))]
    return generator.sample(label, count, seed=seed, parents=given, parent_names=names)


def timeless(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in history]


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_teaches_the_same_generator(method: str) -> None:
    first, again, other = taught(small(method)), taught(small(method)), taught(small(method), seed=4)
    assert timeless(first.history) == timeless(again.history)
    assert np.array_equal(sampled(first.generator).pixels, sampled(again.generator).pixels)
    assert timeless(first.history) != timeless(other.history)


class Killed(Exception):
    """Stands for SIGKILL."""


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_teaching_ends_as_if_nothing_had_happened(method: str, tmp_path: Path) -> None:
    recipe = small(method)

    def kill(entry: dict[str, Any]) -> None:
        if entry["label"] == "AZ31B" and entry["step"] == 4:  # after the state of step 3, before that of step 6
            raise Killed

    with pytest.raises(Killed):
        taught(recipe, tmp_path, on_step=kill)
    told: list[dict[str, Any]] = []
    resumed, whole = taught(recipe, tmp_path, on_step=told.append), taught(recipe)
    assert timeless(resumed.history) == timeless(whole.history)
    assert told == resumed.history
    for label in ("316L", "AZ31B"):
        assert np.array_equal(sampled(resumed.generator, label).pixels, sampled(whole.generator, label).pixels)


def test_the_state_of_another_teaching_is_not_taken_up(tmp_path: Path) -> None:
    taught(small("small-data"), tmp_path)
    with pytest.raises(InputError, match="another recipe"):
        taught(small("small-data", training__batch_size=3), tmp_path)
    with pytest.raises(InputError, match="another"):
        taught(small("small-data"), tmp_path, seed=9)


def test_a_damaged_state_is_said_to_be_damaged(tmp_path: Path) -> None:
    taught(small("small-data"), tmp_path)
    path = tmp_path / "class-1.safetensors"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="damaged"):
        taught(small("small-data"), tmp_path)


@pytest.mark.parametrize("method", METHODS)
def test_images_descend_from_every_original_of_their_class_and_from_their_parent(method: str) -> None:
    generator = taught(small(method)).generator
    images = originals(generator.recipe)
    found = sampled(generator, "316L", count=5)
    of_class = set(named(images)["316L"])
    for parent, ancestors in zip(found.parent, found.ancestors, strict=True):
        assert of_class <= set(ancestors)
        assert set(ancestors) - of_class == ({f"parent-{parent}"} if generator.needs_parents else set())
    if generator.needs_parents:
        count = len(images["316L"])
        assert found.parent.tolist() == [k % count for k in range(5)]
    else:
        assert found.parent.tolist() == [-1] * 5


@pytest.mark.parametrize("method", METHODS)
def test_a_generator_from_its_bundle_makes_the_same_images(method: str, tmp_path: Path) -> None:
    generator = taught(small(method)).generator
    identity = generator.save(tmp_path / "g.sorby", notes=["a trial"])
    again = Generator.load(tmp_path / "g.sorby", device="cpu")
    before, after = sampled(generator), sampled(again)
    assert len(identity) == 64
    assert np.array_equal(before.pixels, after.pixels)
    assert before.ancestors == after.ancestors
    assert again.taught == generator.taught
    assert np.allclose(again.realism("316L", before.pixels), generator.realism("316L", before.pixels))


@pytest.mark.parametrize("method", METHODS)
def test_the_untrained_generator_saw_nothing_and_makes_other_images(method: str) -> None:
    generator = taught(small(method)).generator
    untrained = generator.untrained()
    assert not any(untrained.taught.values())
    assert not np.array_equal(sampled(untrained).pixels, sampled(generator).pixels)
    assert np.array_equal(sampled(untrained).pixels, sampled(generator.untrained()).pixels)


def test_an_image_does_not_depend_on_how_many_are_asked_for() -> None:
    generator = taught(small("gan-stills")).generator
    few, many = sampled(generator, count=2), sampled(generator, count=20)
    # One grey level: matrix products of other batch sizes round differently.
    assert np.abs(few.pixels.astype(int) - many.pixels[:2]).max() <= 1
    assert len({image.tobytes() for image in many.pixels}) == 20


def test_a_score_does_not_depend_on_its_neighbours() -> None:
    generator = taught(small("small-data")).generator
    pixels = surfaces(4, 32)
    assert np.allclose(generator.realism("316L", pixels)[1:], generator.realism("316L", pixels[1:]))


def test_intensity_falls_within_a_few_steps() -> None:
    """From the layout of a still the U-Net soon comes nearer to it than its first weights do."""
    recipe = small("gan-stills", training__steps=40, training__report_every=10, training__generator_rate=2e-3)
    history = taught(recipe).history
    entries = [entry["intensity"] for entry in history if entry["label"] == "316L"]
    assert entries[-1] < 0.7 * entries[0]


def test_history_tells_losses_and_what_the_discriminator_told_right() -> None:
    history = taught(small("gan-frames")).history
    assert [entry["step"] for entry in history if entry["label"] == "AZ31B"] == [2, 3, 4, 6]
    terms = {"intensity", "gradient", "flow", "adversarial"}
    for entry in history:
        assert terms <= set(entry)
        weights = small("gan-frames").losses.model_dump()
        assert entry["generator_loss"] == pytest.approx(sum(weights[name] * entry[name] for name in terms), rel=1e-5)
        assert 0 <= entry["real_accuracy"] <= 1
        assert 0 <= entry["generated_accuracy"] <= 1


def test_a_teaching_that_diverges_ends_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "intensity", lambda generated, real: (generated - real).mean() * float("inf"))
    with pytest.raises(InputError, match="316L: the losses are no longer numbers") as caught:
        taught(small("gan-stills"))
    assert "generator_rate" in caught.value.hint


@pytest.mark.parametrize(
    ("method", "images", "names", "message"),
    [
        ("small-data", {}, {}, "no originals"),
        ("small-data", {"a": []}, {"a": []}, "no originals"),
        ("small-data", {"a": surfaces(2)}, {"a": ["x"]}, "2 originals and 1 names"),
        ("small-data", {"a": surfaces(1, 20)}, {"a": ["x"]}, "smaller than"),
        ("small-data", {"a": surfaces(1) / 255}, {"a": ["x"]}, "8-bit grey"),
        ("small-data", {"a": sequences(1)}, {"a": ["x"]}, "stills"),
        ("gan-frames", {"a": surfaces(1)}, {"a": ["x"]}, "sequences"),
        ("gan-frames", {"a": sequences(1, 4)}, {"a": ["x"]}, "4 frames where 5"),
    ],
)
def test_originals_that_do_not_fit_are_refused(method: str, images: Any, names: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        teach(images, names, small(method), seed=0, device="cpu")


def test_what_cannot_be_sampled_is_refused() -> None:
    stills, noise = taught(small("gan-stills")).generator, taught(small("small-data")).generator
    with pytest.raises(InputError, match="no class brass"):
        noise.sample("brass", 1, seed=0)
    with pytest.raises(InputError, match="0 images"):
        noise.sample("316L", 0, seed=0)
    with pytest.raises(InputError, match="none were given"):
        stills.sample("316L", 1, seed=0)
    with pytest.raises(InputError, match="2 parents and 0 names"):
        stills.sample("316L", 1, seed=0, parents=surfaces(2))
    with pytest.raises(InputError, match="clips of shape"):
        noise.next_frames("316L", sequences(1)[:, :4, :32, :32])
