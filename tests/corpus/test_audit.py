"""Near-duplicates, shortcuts and the audit of a corpus."""

from __future__ import annotations

import imagehash
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage

from sorby.corpus import Corpus, audit, build, near_duplicate_groups, split_corpus
from sorby.corpus.likeness import Likeness
from sorby.corpus.near_duplicates import (
    from_hex,
    groups_of,
    hash_images,
    look_at,
    pairs_within,
    phash,
    similarity,
    ssim_of_pairs,
    thumbnail,
    to_hex,
)
from sorby.corpus.shortcuts import by_magnification, cramers_v, find_shortcuts, guess_accuracy
from sorby.errors import InputError


def texture(rng: np.random.Generator, size: tuple[int, int] = (120, 160)) -> np.ndarray:
    """Smooth noise, which has structure at the scale a perceptual hash sees."""
    field = ndimage.gaussian_filter(rng.standard_normal(size), 6)
    return ((field - field.min()) / np.ptp(field) * 255).astype(np.uint8)


def test_the_hash_is_the_one_of_imagehash(rng):
    pixels = texture(rng)
    assert to_hex(phash(pixels)) == str(imagehash.phash(Image.fromarray(pixels)))
    assert from_hex([to_hex(phash(pixels))])[0] == phash(pixels)


def test_brightness_and_a_slight_blur_hardly_change_the_hash_and_another_image_does(rng):
    pixels, other = texture(rng), texture(rng)
    altered = ndimage.gaussian_filter(pixels * 0.7 + 30, 1).astype(np.uint8)
    assert np.bitwise_count(phash(pixels) ^ phash(altered)) <= 4
    assert np.bitwise_count(phash(pixels) ^ phash(other)) > 12


def test_all_pairs_within_the_radius_are_found(rng):
    hashes = rng.integers(0, 2**16, 3000, dtype=np.uint64)  # 16 free bits, so that close pairs are common
    pairs = pairs_within(hashes, 1)
    few = hashes[:200]
    brute = [(i, j) for i in range(200) for j in range(i + 1, 200) if int(few[i] ^ few[j]).bit_count() <= 1]
    assert [tuple(pair) for pair in pairs_within(few, 1).tolist()] == brute
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    assert np.all(pairs[:, 0] < pairs[:, 1])


def test_pairs_between_two_sets_are_found(rng):
    first, second = rng.integers(0, 2**8, (2, 60), dtype=np.uint64)
    pairs = pairs_within(first, 2, second)
    expected = np.argwhere(np.bitwise_count(first[:, None] ^ second[None, :]) <= 2)
    assert np.array_equal(pairs, expected)


def test_all_planted_pairs_of_twenty_thousand_images_are_found(rng):
    hashes = rng.integers(0, 2**63, 20_000, dtype=np.uint64)
    hashes[10_000:10_100] = hashes[:100] ^ np.uint64(0b1011)
    found = {(int(a), int(b)) for a, b in pairs_within(hashes, 8)}
    assert {(k, 10_000 + k) for k in range(100)} <= found


def test_a_radius_that_joins_everything_is_refused():
    with pytest.raises(InputError, match="more than 20,000,000 pairs"):
        pairs_within(np.zeros(8000, np.uint64), 0)


def test_no_images_have_no_pairs():
    assert pairs_within(np.empty(0, np.uint64), 4).shape == (0, 2)


def test_groups_are_joined_through_a_common_neighbour():
    groups = groups_of(np.array([[0, 1], [1, 4]]), 6)
    assert groups[0] == groups[1] == groups[4]
    assert len(set(groups.tolist())) == 4


def test_ssim_of_an_image_with_itself_is_one_and_with_another_is_small(rng):
    first, other = thumbnail(texture(rng)), thumbnail(texture(rng))
    assert first.shape == (96, 128)
    assert similarity(first, first) == pytest.approx(1)
    assert similarity(first, other) < 0.5


def test_an_image_saved_again_falls_into_its_original_group(tmp_path, rng):
    original = texture(rng)
    Image.fromarray(original).save(tmp_path / "0.png")
    Image.fromarray(original).save(tmp_path / "1.jpg", quality=60)
    Image.fromarray(texture(rng)).save(tmp_path / "2.png")
    groups = near_duplicate_groups([tmp_path / name for name in ("0.png", "1.jpg", "2.png")])
    assert groups[0] == groups[1] != groups[2]


def test_a_corpus_is_grouped_from_the_hashes_it_stores(confounded):
    hashed_alone = Corpus(confounded.table.assign(path="gone.png"), confounded.root)
    groups = near_duplicate_groups(hashed_alone, ssim=None)
    assert len(groups) == 41
    assert len(set(groups)) == 40
    again = list(confounded.table["path"]).index("again.png")
    assert groups[again] == groups[0]
    assert groups == near_duplicate_groups(confounded)


def test_cramers_v_knows_dependence_from_independence(rng):
    assert cramers_v(np.diag([50, 50, 50])) == pytest.approx(1, abs=0.01)
    assert cramers_v(np.full((3, 4), 25)) == 0
    noise = pd.crosstab(rng.integers(0, 5, 400), rng.integers(0, 6, 400)).to_numpy()
    assert cramers_v(noise) < 0.1, "the uncorrected V of pure chance would be about .11"


def test_guessing_from_a_unique_value_is_no_better_than_nothing():
    assert guess_accuracy(np.eye(5, dtype=np.int64)) == 0
    assert guess_accuracy(np.diag([4, 6])) == 1
    assert guess_accuracy(np.array([[3, 1], [1, 5]])) == 0.8


@pytest.fixture
def confounded(tmp_path, rng) -> Corpus:
    """Two alloys, one photographed at 100x, the other at 500x; one specimen twice in almost one picture."""
    rows = []
    for k in range(40):
        label = "316L" if k < 20 else "AZ31B"
        pixels = texture(rng, (64, 64))
        Image.fromarray(pixels).save(tmp_path / f"{k}.png")
        rows.append((f"{k}.png", label, f"s{k // 2}", 100 if k < 20 else 500))
        if k == 0:
            Image.fromarray(ndimage.gaussian_filter(pixels, 0.5)).save(tmp_path / "again.png")
            rows.append(("again.png", label, "s0", 100))
    pd.DataFrame(rows, columns=["path", "label", "specimen", "magnification"]).to_csv(tmp_path / "t.csv", index=False)
    return build([tmp_path / "t.csv"]).corpus


def test_a_label_that_follows_the_magnification_is_reported_as_a_shortcut(confounded):
    shortcut = find_shortcuts(confounded.table)[0]
    assert (shortcut.column, shortcut.strong, shortcut.guess_accuracy, shortcut.n) == ("magnification", True, 1.0, 41)
    assert by_magnification(confounded.table) == {"316L": {"100": 21, "500": 0}, "AZ31B": {"100": 0, "500": 20}}
    assert any("magnification" in line for line in audit(confounded)["warnings"])


def test_a_leak_is_found_in_the_split_that_has_it_and_not_in_the_grouped_one(confounded):
    again = (confounded.table["path"] == "again.png").to_numpy()
    torn = confounded.with_split(np.where(again, "test", "train"), "by hand")
    found = audit(torn)["leakage"]
    assert list(found) == ["split: train | test"]
    entry = found["split: train | test"]
    assert (entry["leaking"], entry["n"], entry["n_train"]) == (1, 1, 40)
    assert (entry["near_duplicates"], entry["specimens_shared"], entry["share_at"]["0.90"]) == (1, 1, 1.0)
    assert "1 of 1 images show one of 1 specimens" in entry["how"]
    whole = audit(split_corpus(confounded, "kfold", folds=4))["leakage"]
    assert list(whole) == ["fold 0", "fold 1", "fold 2", "fold 3"]
    assert all(entry["leaking"] == entry["near_duplicates"] == 0 for entry in whole.values())


def test_an_image_that_leaks_in_three_ways_is_counted_once(confounded):
    table = pd.concat([confounded.table, confounded.table.iloc[[0]]], ignore_index=True)  # same specimen, same bytes
    parts = np.array(["train"] * 41 + ["test"])
    entry = audit(Corpus(table, confounded.root).with_split(parts, "by hand"))["leakage"]["split: train | test"]
    assert (entry["leaking"], entry["byte_duplicates"], entry["specimens_shared"], entry["near_duplicates"]) == (
        1,
        1,
        1,
        1,
    )


def test_the_hash_alone_is_believed_when_ssim_is_left_out(confounded):
    lost = Corpus(confounded.table.assign(path="gone.png"), confounded.root)
    found = audit(lost, hamming=4, ssim=None)
    assert found["near_duplicates"]["pairs"] == found["near_duplicates"]["candidates"] == 1
    assert "not confirmed" in found["method"]


def test_conflicts_and_repeats_are_in_the_audit(confounded, tmp_path):
    table = confounded.table
    doubled = Corpus(pd.concat([table, table.iloc[[3]].assign(label="AZ31B")]), confounded.root)
    found = audit(doubled)
    assert found["conflicts"] == [["2.png", "2.png"]]
    assert found["duplicates"] == []


def test_a_corpus_without_a_split_says_that_nothing_was_compared(confounded):
    found = audit(confounded)
    assert list(found["leakage"]) == ["no stored split"]
    assert found["leakage"]["no stored split"]["leaking"] == 0, "its only near-duplicates are of one specimen"
    assert any("no split is stored" in line and "1 pairs" in line for line in found["warnings"])
    nameless = Corpus(confounded.table.drop(columns="specimen"), confounded.root)
    assert audit(nameless)["leakage"]["no stored split"]["leaking"] == 2


@pytest.mark.realdata
def test_most_free_tiles_have_a_neighbour_within_4_bits(real_data):
    files = sorted((real_data / "magnetic-tile" / "MT_Free").glob("*.jpg"))
    assert len(files) == 952
    pairs = pairs_within(hash_images(files), 4)
    # 702 are on record; versions of the JPEG decoder move single bits of single hashes (703 counted here).
    assert abs(len(np.unique(pairs)) - 702) <= 5


@pytest.mark.realdata
def test_neu_repeats_two_images_almost_exactly(real_data):
    files = sorted((real_data / "neu-det" / "images").glob("patches_10[0-9].jpg"))
    pairs = pairs_within(hash_images(files), 4)
    assert [(files[a].stem, files[b].stem) for a, b in pairs] == [("patches_101", "patches_105")]
    assert ssim_of_pairs(files, pairs)[0] == pytest.approx(1)


@pytest.mark.realdata
def test_of_all_pairs_of_neu_one_is_a_copy_and_another_nearly(real_data):
    files = sorted((real_data / "neu-det" / "images").glob("*.jpg"))
    hashes, thumbnails = look_at(files)
    likeness = Likeness.find(files, hashes, 12, thumbnails=thumbnails)
    named = {(files[a].stem, files[b].stem): k for k, (a, b) in enumerate(likeness.pairs.tolist())}
    alike = [pair for pair, k in named.items() if likeness.ssim[k] >= 0.8]
    assert sorted(alike) == [("inclusion_188", "inclusion_210"), ("patches_101", "patches_105")]
    assert likeness.ssim[named["patches_101", "patches_105"]] == 1
    # Overlapping fields, shifted by a fifth of the image, are other pictures to hash and SSIM.
    assert likeness.ssim[named["patches_2", "patches_5"]] < 0.5
