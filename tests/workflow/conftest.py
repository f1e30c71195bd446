"""Fixtures of the tests on specimens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fractures import RECIPE, Fractures, write_fractures


@pytest.fixture(scope="session")
def fractures(tmp_path_factory: pytest.TempPathFactory) -> Fractures:
    """Some hundred pictures of 24 broken phantoms, a frozen classifier, and a judge by mean probability."""
    from sorby.classify.recipe import load
    from sorby.workflow import train
    from sorby.workflow.specimens.teaching import Teaching, teach_specimens

    place = tmp_path_factory.mktemp("fractures")
    table = write_fractures(place / "data")
    result = train(table, place / "run", load(None, RECIPE), report=False, device="cpu")
    teaching = Teaching(
        "mean-probability", rare_class="material", rare_precision=0.7, expert_classes=("material",),
        low_magnification=5000.0,
    )  # fmt: skip
    teach_specimens(result["bundle"], table, place / "judge.sorby", teaching, device="cpu")
    return Fractures(place / "data", Path(result["bundle"]), place / "judge.sorby")


@pytest.fixture(scope="session")
def marks_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bundle of a detector taught by gradients to find bright and dark rectangles."""
    from bright_marks import CLASSES, pictures, tiny_recipe
    from sorby.detect.detector_bundle import save
    from sorby.detect.teaching import examples_of, teach

    recipe = tiny_recipe(frozen=False)
    drawn = pictures(40, 0)
    found = examples_of((pixels for pixels, _ in drawn), (truth for _, truth in drawn), recipe)
    detector = teach(recipe, CLASSES, [each for examples in found for each in examples], device="cpu")
    detector = replace(detector, threshold=0.4, facts={"largest_px": 64.0, "largest_box_px": 18.0})
    path = tmp_path_factory.mktemp("base") / "base.sorby"
    save(path, detector, n_boxes=60)
    return path
