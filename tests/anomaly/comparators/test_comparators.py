import numpy as np
import pytest

from sorby.anomaly.comparators import (
    COMPARATORS,
    AdaptiveThreshold,
    IntensityThreshold,
    PatchSimilarity,
    comparator_from_arrays,
)
from sorby.errors import InputError
from sorby.evidence import pixel_auroc


def web(rng, n=6, shape=(64, 96), level=120.0, spread=8.0):
    return np.clip(np.rint(rng.normal(level, spread, (n, *shape))), 0, 255).astype(np.uint8)


def with_spots(images, change):
    """Put a 4 x 4 spot that much brighter or darker into every image; returns images and masks."""
    masks = np.zeros(images.shape, bool)
    masks[:, 20:24, 40:44] = True
    return np.clip(images.astype(int) + change * masks, 0, 255).astype(np.uint8), masks


@pytest.mark.parametrize("name", COMPARATORS)
class TestEveryComparator:
    def test_a_defect_unlike_the_web_is_found_on_both_sides(self, name, rng):
        fitted = COMPARATORS[name]().fit(web(rng))
        for change in (90, -90):
            images, masks = with_spots(web(rng, n=2), change)
            scores = fitted.maps(images)
            assert scores.shape == images.shape
            assert scores.dtype == np.float32
            assert pixel_auroc(scores, masks) > 0.98
            assert scores[masks].min() > 1

    def test_good_images_stay_mostly_below_one(self, name, rng):
        fitted = COMPARATORS[name]().fit(web(rng))
        # Six images of 24 fields are 144; of these and the 64 candidates about 1 in 20 lies beyond.
        assert (fitted.maps(web(rng)) > 1).mean() < (0.12 if name == "patch-similarity" else 0.004)

    def test_what_is_stored_maps_as_what_was_fitted(self, name, rng):
        fitted = COMPARATORS[name]().fit(web(rng))
        images = with_spots(web(rng, n=2), 60)[0]
        stored = comparator_from_arrays(name, fitted.arrays())
        np.testing.assert_array_equal(stored.maps(images), fitted.maps(images))

    def test_an_image_is_mapped_alike_alone_and_among_others(self, name, rng):
        fitted = COMPARATORS[name]().fit(web(rng))
        images = web(rng, n=3)
        np.testing.assert_array_equal(fitted.maps(images)[1], fitted.maps(images[1:2])[0])

    def test_good_images_may_differ_in_size_and_come_one_at_a_time(self, name, rng):
        fitted = COMPARATORS[name]().fit(web(rng, 1, (h, w))[0] for h, w in ((40, 70), (33, 32), (64, 50)))
        assert np.isfinite(fitted.maps(web(rng, 1, (17, 45)))).all()

    def test_good_images_without_any_spread_are_no_division_by_nought(self, name):
        flat = np.full((2, 32, 32), 128, np.uint8)
        fitted = COMPARATORS[name]().fit(flat)
        assert np.isfinite(fitted.maps(flat)).all()
        assert fitted.maps(with_spots(np.full((1, 64, 64), 128, np.uint8), 50)[0]).max() > 1

    @pytest.mark.parametrize(
        ("images", "words"),
        [
            ([], "no good image"),
            ([np.zeros((8, 8), np.float32)], "8-bit grey"),
            ([np.zeros((8, 8, 3), np.uint8)], "8-bit"),
        ],
    )
    def test_what_it_cannot_learn_from_is_said(self, name, images, words):
        with pytest.raises(InputError, match=words):
            COMPARATORS[name]().fit(images)

    def test_without_good_images_nothing_is_mapped_or_stored(self, name):
        for use in (lambda: COMPARATORS[name]().maps(np.zeros((1, 32, 32), np.uint8)), COMPARATORS[name]().arrays):
            with pytest.raises(InputError, match="not learned"):
                use()


def test_the_intensity_threshold_is_the_share_of_good_pixels_it_was_asked_for(rng):
    good = web(rng, n=20, shape=(200, 200), spread=20)
    scores = IntensityThreshold(tail=0.01).fit(good).maps(good)
    # Grey values are whole: the last one within may hold up to a further .3 % on either side.
    assert (scores >= 1).mean() == pytest.approx(0.02, abs=0.006)
    assert (scores > 1).mean() <= 0.02


def test_slow_shading_blinds_the_intensity_threshold_but_not_the_adaptive_one(rng):
    slope = np.linspace(-50, 50, 96)
    good = np.clip(web(rng).astype(float) + slope, 0, 255).astype(np.uint8)
    images, masks = with_spots(good, 35)
    by_level = pixel_auroc(IntensityThreshold().fit(good).maps(images), masks)
    by_surroundings = pixel_auroc(AdaptiveThreshold().fit(good).maps(images), masks)
    assert by_level < 0.7
    assert by_surroundings > 0.97


def test_a_defect_that_fills_the_window_is_its_own_background():
    image = np.full((1, 120, 120), 100, np.uint8)
    image[:, 20:100, 20:100] = 160
    scores = AdaptiveThreshold(sigma_px=4).fit([np.full((64, 64), 100, np.uint8)]).maps(image)[0]
    assert scores[21, 60] > 10
    assert scores[60, 60] < 0.5


def test_a_patch_is_like_itself_and_unlike_one_of_other_luminance_contrast_or_structure(rng):
    texture = web(rng, 1, (16, 16), spread=20)[0]
    fitted = PatchSimilarity((16, 16), tail=0.5).fit([np.hstack([texture, web(rng, 1, (16, 160), spread=20)[0]])])
    drawn = fitted.arrays()["candidates"]
    own = fitted.with_baseline(int(np.flatnonzero((drawn == texture).all(axis=(1, 2)))[0]))

    def score(patch):
        return own.maps(np.clip(patch, 0, 255).astype(np.uint8)[None])[0, 0, 0]

    centred = texture.astype(float) - texture.mean()
    assert score(texture) == pytest.approx(0, abs=1e-6)
    assert score(texture + 60) > score(texture + 20) > 0.01
    assert score(texture.mean() + centred / 8) > score(texture.mean() + centred / 2) > 0.01
    assert score(texture.mean() - centred) > score(texture[::-1]) > 0.1


def test_all_pixels_of_a_field_share_a_score_also_where_the_image_ends_within_it(rng):
    scores = PatchSimilarity((16, 24)).fit(web(rng)).maps(web(rng, 1, (40, 60)))[0]
    assert (scores[:16, :24] == scores[0, 0]).all()
    assert (scores[32:, 48:] == scores[32, 48]).all()
    assert np.unique(scores).size == 9


def test_where_good_material_varies_the_choice_of_baseline_moves_the_figure_and_where_it_does_not_it_hardly_does(rng):
    alike, unlike = web(rng, n=8, spread=10), web(rng, n=8, spread=10)
    unlike[4:] = web(rng, n=4, level=190, spread=30)
    spread = []
    for good in (alike, unlike):
        images, masks = with_spots(good, 60)
        fitted = PatchSimilarity(n_candidates=12).fit(good)
        assert fitted.n_baselines == 12
        spread.append(np.ptp([pixel_auroc(each.maps(images), masks) for each in fitted.each_baseline()]))
    assert spread[1] > 3 * spread[0]
    assert spread[1] > 0.1


def test_the_same_seed_draws_the_same_patches_and_another_others(rng):
    good = web(rng, n=10)
    once, again, other = (PatchSimilarity(seed=seed, n_candidates=8).fit(good).arrays() for seed in (1, 1, 2))
    np.testing.assert_array_equal(once["candidates"], again["candidates"])
    assert not np.array_equal(once["candidates"], other["candidates"])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: IntensityThreshold(tail=0.5), "share of good pixels"),
        (lambda: AdaptiveThreshold(sigma_px=0), "width above 0"),
        (lambda: AdaptiveThreshold(tail=0), "share of good pixels"),
        (lambda: PatchSimilarity((1, 8)), "two pixels or more"),
        (lambda: PatchSimilarity(n_candidates=1), "two patches or more"),
        (lambda: PatchSimilarity(tail=1), "share of good fields"),
        (lambda: PatchSimilarity((64, 64)).fit([np.zeros((64, 64), np.uint8)]), "hold 1 whole patches"),
        (lambda: comparator_from_arrays("blobs", {}), "unknown comparator"),
        (lambda: comparator_from_arrays("intensity-threshold", {}), "lacks the array"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()
