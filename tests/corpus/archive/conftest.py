"""The rules of phantom archives."""

from __future__ import annotations

from pathlib import Path

import pytest

from sorby.corpus.archive import ArchiveRules, load_rules
from sorby.phantom.fracture.archive import rules_text


@pytest.fixture(scope="session")
def rules_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("house") / "rules.yaml"
    path.write_text(rules_text(), "utf-8")
    return path


@pytest.fixture(scope="session")
def rules(rules_file: Path) -> ArchiveRules:
    return load_rules(rules_file)
