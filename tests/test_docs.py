"""The documentation says what the code does."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def _script(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


REFERENCE = _script("make_reference")
OUTPUTS = _script("make_outputs")


@pytest.mark.parametrize("page", sorted(REFERENCE.PAGES))
def test_reference_pages_are_what_the_code_says_now(page):
    written = (DOCS / page).read_text("utf-8")
    assert written == REFERENCE.PAGES[page](), "run: python docs/make_reference.py"


def test_every_quoted_command_has_its_output():
    assert {path.stem for path in (DOCS / "outputs").glob("*.txt")} == set(OUTPUTS.STEPS)
    for name, commands in OUTPUTS.STEPS.items():
        text = (DOCS / "outputs" / f"{name}.txt").read_text("utf-8")
        assert [line[2:] for line in text.splitlines() if line.startswith("$ ")] == commands


def test_the_readme_quotes_outputs_and_code_unchanged():
    readme = (ROOT / "README.md").read_text("utf-8")
    for name in ("readme-train", "readme-inspect", "verdicts-head", "api", "membrane-fit", "line-run"):
        assert (DOCS / "outputs" / f"{name}.txt").read_text("utf-8").rstrip() in readme
    assert (DOCS / "examples" / "api.py").read_text("utf-8").rstrip() in readme


def test_links_of_the_readme_lead_somewhere():
    readme = (ROOT / "README.md").read_text("utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", readme)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_no_page_names_a_place_on_the_computer_that_wrote_it():
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md"), *DOCS.rglob("*.txt")]
    told = {
        page.name for page in pages if re.search(r"(?<![\w.])/(?:work|tmp|home|root|Users)/", page.read_text("utf-8"))
    }
    assert told == set()


def test_pictures_stay_small():
    assert sum(path.stat().st_size for path in (DOCS / "pictures").iterdir()) < 1_500_000
