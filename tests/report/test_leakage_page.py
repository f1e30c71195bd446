"""The audit's page: ours beside the published table, and what neither measures."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage

from sorby.workflow.corpora import audit_corpus


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """The audit of ten specimens taken twice, with markup in a name."""
    folder, rng = tmp_path_factory.mktemp("audited"), np.random.default_rng(7)
    rows = []
    for k in range(10):
        field = ndimage.gaussian_filter(rng.standard_normal((64, 64)), 4)
        field = (field - field.min()) / np.ptp(field) * 255
        for shot in "ab":
            name = f"{k}{shot}<b>.png" if k == 0 else f"{k}{shot}.png"
            pixels = np.clip(field + rng.normal(0, 3, field.shape), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name)
            rows.append((name, "xy"[k % 2], f"s{k}", (100, 1000)[k % 2]))
    table = pd.DataFrame(rows, columns=["path", "label", "specimen", "magnification"])
    table.to_csv(folder / "t.csv", index=False)
    found = audit_corpus(folder / "t.csv", embedding=False, out=folder / "audit")
    return found, (folder / "audit" / "audit.html").read_text("utf-8")


def test_both_tables_stand_on_the_page_with_what_makes_them_incomparable(audited):
    found, page = audited
    assert found["report"].endswith("audit.html")
    assert "16.64\u00a0%\u00a0(295)" in page, "published, with the count it stands for"
    assert "6.83\u00a0%\u00a0(121)" in page, "as printed, though 121 of 1773 round to 6.82"
    assert f"{found['table1']['mean'][3]:.2f} %" in page
    assert "Not comparable as it stands" in page
    assert "not a near-duplicate" in page


def test_leaking_pairs_are_shown_with_both_pictures(audited):
    found, page = audited
    assert len(found["table1"]["pairs"]) > 0
    assert page.count("data:image/jpeg;base64,") == 2 * len(found["table1"]["pairs"])
    assert "same specimen" in page


def test_names_are_escaped_and_nothing_is_fetched(audited):
    _, page = audited
    assert "a<b>.png" not in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)


def test_class_by_magnification_and_the_shortcut_are_on_the_page(audited):
    found, page = audited
    assert found["shortcuts"][0]["column"] == "magnification"
    assert "1000x" in page
    assert "Cramér" in page
