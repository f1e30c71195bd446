"""Per-region overlap against a slow sweep over every threshold, and against what is known by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label

from sorby.errors import InputError
from sorby.evidence import pro_auc, pro_curve, rank_pixels, threshold_pro


def swept(maps, masks, limit=0.3, weights=None):
    """PRO-AUC by labelling, thresholding and averaging at every score that occurs."""
    weights = [1] * len(maps) if weights is None else weights
    maps = [m for m, w in zip(maps, weights, strict=True) for _ in range(w)]
    masks = [m for m, w in zip(masks, weights, strict=True) for _ in range(w)]
    masks = [np.zeros(m.shape, bool) if t is None else t for m, t in zip(maps, masks, strict=True)]
    regions = []
    for scores, mask in zip(maps, masks, strict=True):
        labels = label(mask, connectivity=2)
        regions += [scores[labels == k] for k in range(1, labels.max() + 1)]
    good = np.concatenate([m[~t] for m, t in zip(maps, masks, strict=True)])
    fpr, overlap = [0.0], [0.0]
    for threshold in np.unique(np.concatenate([m.ravel() for m in maps]))[::-1]:
        fpr.append((good >= threshold).mean())
        overlap.append(np.mean([(region >= threshold).mean() for region in regions]))
    fpr, overlap = np.array(fpr), np.array(overlap)
    inside = fpr <= limit
    at_limit = np.interp(limit, fpr, overlap)
    # Where the curve rises straight up at the limit itself, the area does not care which height is taken.
    return np.trapezoid(np.r_[overlap[inside], at_limit], np.r_[fpr[inside], limit]) / limit


def set_of_maps(rng, n=4, levels=8):
    """Maps with ties, masks with regions at borders and corners and side by side, one good image, sizes that differ."""
    maps, masks = [], []
    for k in range(n):
        shape = (int(rng.integers(1, 14)), int(rng.integers(1, 14)))
        mask = rng.random(shape) < rng.choice([0.0, 0.1, 0.4])
        maps.append((rng.integers(0, levels, shape) + 2 * mask).astype(np.float32))
        masks.append(None if k == 0 else mask)
    return maps, masks


def has_both(masks):
    return any(m is not None and m.any() for m in masks)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
def test_the_area_equals_a_sweep_over_every_threshold(seed, limit):
    rng = np.random.default_rng(seed)
    maps, masks = set_of_maps(rng, levels=int(rng.choice([2, 8, 10_000])))
    if not has_both(masks):
        masks[-1] = np.zeros(maps[-1].shape, bool)
        masks[-1][0, 0] = True
    assert pro_auc(maps, masks, fpr_limit=limit) == pytest.approx(swept(maps, masks, limit), abs=1e-9)


def test_an_image_of_weight_two_counts_as_if_it_were_there_twice():
    rng = np.random.default_rng(7)
    maps, masks = set_of_maps(rng, n=6)
    weights = [2, 1, 1, 2, 1, 3]
    assert pro_auc(maps, masks, weights) == pytest.approx(swept(maps, masks, weights=weights), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), change=st.sampled_from([np.exp, np.cbrt, lambda x: 3 * x - 7]))
def test_only_the_order_of_scores_matters(seed, change):
    maps, masks = set_of_maps(np.random.default_rng(seed))
    changed = [change(m.astype(np.float64)) for m in maps]
    assert pro_auc(changed, masks) == pytest.approx(pro_auc(maps, masks), abs=1e-12, nan_ok=True)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), turns=st.integers(1, 3), flip=st.booleans())
def test_turning_and_mirroring_images_changes_nothing(seed, turns, flip):
    maps, masks = set_of_maps(np.random.default_rng(seed))

    def turn(pixels):
        return None if pixels is None else np.rot90(pixels[:, ::-1] if flip else pixels, turns)

    turned = pro_auc([turn(m) for m in maps], [turn(m) for m in masks])
    assert turned == pytest.approx(pro_auc(maps, masks), abs=1e-12, nan_ok=True)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_curve_rises_from_nothing_to_all_and_its_trapezia_are_the_area(seed):
    maps, masks = set_of_maps(np.random.default_rng(seed))
    curve = pro_curve(maps, masks)
    if not curve.fpr.size:
        return
    assert (curve.fpr[0], curve.overlap[0], curve.fpr[-1]) == (0, 0, 1)
    assert curve.overlap[-1] == 1
    assert (np.diff(curve.fpr) >= 0).all()
    assert (np.diff(curve.overlap) >= 0).all()
    assert np.trapezoid(curve.overlap, curve.fpr) == pytest.approx(pro_auc(maps, masks, fpr_limit=1.0), abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_corner_of_the_curve_is_what_its_threshold_reaches(seed):
    maps, masks = set_of_maps(np.random.default_rng(seed))
    curve = pro_curve(maps, masks)
    good = np.concatenate([m.ravel() if t is None else m[~t] for m, t in zip(maps, masks, strict=True)])
    for fpr, overlap, threshold in list(zip(curve.fpr, curve.overlap, curve.threshold, strict=True))[1:]:
        assert fpr == pytest.approx((good >= threshold).mean())
        assert overlap == pytest.approx(threshold_pro(maps, masks, threshold).by_region)


def test_a_map_that_finds_every_defect_first_scores_one_and_one_that_knows_nothing_half_the_limit():
    mask = np.zeros((20, 20), bool)
    mask[3:6, 3:6] = mask[10:, 10:] = True
    assert pro_auc([mask.astype(np.float32)], [mask]) == 1.0
    assert pro_auc([np.zeros((20, 20), np.float32)], [mask]) == pytest.approx(0.15)
    assert pro_auc([~mask * np.float32(1)], [mask]) == 0.0


def test_a_small_region_counts_as_much_as_a_large_one():
    mask = np.zeros((30, 30), bool)
    mask[0, 0] = mask[5:25, 5:25] = True
    scores = np.zeros((30, 30), np.float32)
    scores[5:25, 5:25] = 1  # the large one is found, the single pixel is not told from the background
    assert pro_auc([scores], [mask]) == pytest.approx((1 + 0.15) / 2)
    assert threshold_pro([scores], [mask], 1).by_region == 0.5


def test_pixels_that_touch_at_a_corner_are_one_region():
    mask = np.eye(5, dtype=bool)
    scores = np.zeros((5, 5), np.float32)
    scores[0, 0] = 1
    assert rank_pixels([scores], [mask]).n_regions == 1
    assert threshold_pro([scores], [mask], 0.5).by_region == pytest.approx(0.2)


def one_pixel(shape, *places):
    mask = np.zeros(shape, bool)
    for place in places:
        mask[place] = True
    return mask


def test_the_two_threshold_scores_differ_by_how_many_regions_an_image_has():
    three, one = one_pixel((9, 9), (0, 0), (4, 4), (8, 8)), one_pixel((9, 9), (4, 4))
    missed, found = np.zeros((9, 9), np.float32), np.ones((9, 9), np.float32)
    scored = threshold_pro([missed, found, found], [three, one, None], 0.5)
    assert scored.by_region == pytest.approx(1 / 4)
    assert scored.by_image == pytest.approx(1 / 2)
    np.testing.assert_array_equal(scored.per_image, [0, 1, np.nan])
    assert [each.size for each in scored.regions] == [3, 1, 0]


def test_the_two_threshold_scores_agree_where_each_image_has_one_region(rng):
    masks = [one_pixel((8, 8), (slice(a, a + 3), slice(b, b + 2))) for a, b in rng.integers(0, 5, (12, 2))]
    maps = [rng.random((8, 8)).astype(np.float32) for _ in masks]
    scored = threshold_pro(maps, masks, 0.4)
    assert 0 < scored.by_region < 1
    assert scored.by_region == pytest.approx(scored.by_image, abs=1e-12)


def test_without_a_defect_or_without_a_good_pixel_there_is_no_area():
    scores = np.ones((4, 4), np.float32)
    for masks in ([None], [np.zeros((4, 4), bool)], [np.ones((4, 4), bool)]):
        assert np.isnan(pro_auc([scores], masks))
        assert pro_curve([scores], masks).fpr.size == 0
    assert np.isnan(threshold_pro([scores], [None], 0.5).by_region)


@pytest.mark.parametrize(
    ("maps", "masks", "words"),
    [
        ([np.zeros((4, 4))], [np.zeros((4, 5), bool)], "image 0: the score map has"),
        ([np.zeros((4, 4))] * 2, [None], "2 score maps but 1 masks"),
        ([], [], "no score map"),
        ([np.zeros((4, 4))], [np.full((4, 4), 255, np.uint8)], "a mask is boolean"),
        ([np.zeros((4, 4, 3))], [None], "has the shape h x w"),
        ([np.full((4, 4), np.nan)], [None], "not a number"),
        ([np.full((4, 4), np.nan)], [np.eye(4, dtype=bool)], "not a number"),
    ],
)
def test_what_does_not_fit_is_said_with_the_image(maps, masks, words):
    with pytest.raises(InputError, match=words):
        pro_auc(maps, masks)


def test_a_limit_outside_nought_and_one_is_refused():
    for limit in (0.0, -0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="limit of the false positive rate"):
            pro_auc([np.zeros((2, 2))], [None], fpr_limit=limit)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
def test_scores_of_any_type_and_sign_are_ranked_alike(dtype):
    # -0.0 and 0.0 tie, and so must they in every way of sorting; infinities have their place at the ends.
    rng = np.random.default_rng(11)
    values = np.array([-7, -2, -1, 0, 0, 1, 2, 9])
    maps = [rng.choice(values, (9, 11)).astype(dtype) for _ in range(3)]
    if np.issubdtype(dtype, np.floating):
        maps[0][maps[0] == 0] *= -1
        maps[1][0, :2] = np.inf, -np.inf
    masks = [rng.random((9, 11)) < 0.3 for _ in maps]
    assert pro_auc(maps, masks) == pytest.approx(swept([m.astype(np.float64) for m in maps], masks), abs=1e-9)
    ranking = rank_pixels(maps, masks)
    assert (np.diff(ranking.values.astype(np.float64)[1:-1]) < 0).all()
    assert ranking.defect.sum() == sum(m.sum() for m in masks)
