"""Which printed numbers of the corrosion paper follow from which: electrochemistry, networks and counts.

Every row holds a number computed from other printed ones, the printed number it should equal, their ratio, and a
verdict. A number *follows* where the two agree within what rounding leaves open in all of them, *does not follow*
where they do not, and *cannot be checked* where the paper prints nothing to hold it against.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal

from sorby.electrochem.arrhenius import fit_arrhenius
from sorby.electrochem.corrosion_rate import corrosion_rate_mm_y
from sorby.electrochem.linear_polarisation import stern_geary_b_v, stern_geary_resistance
from sorby.workflow.papers import bhat2023 as s2

Verdict = Literal["follows", "does not follow", "cannot be checked"]
VERDICTS: tuple[Verdict, ...] = ("follows", "does not follow", "cannot be checked")

#: Equivalent weight and density by ASTM G102 (316 with Mo 3; magnesium). The heats' own are within 1.5 %.
G102 = {"316L": (25.50, 7.98), "AZ31B": (12.15, 1.77)}
#: mils a year in a mm a year.
_MILS = 1 / 0.0254
#: Stern and Geary's B of corroding metals in mV, beyond which a pair of numbers is suspect.
USUAL_B_MV = (8.0, 60.0)
_IMAGES = sum(sum(counts) for counts in s2.TABLE_3.values())


@dataclass(frozen=True)
class Check:
    """One printed number against what others make of it.

    Attributes
    ----------
    topic : str
        A key of `TOPICS`.
    case : str
        Alloy and temperature, or layer.
    quantity : str
        What is compared, with its unit.
    computed : float
    printed : float or None
        None where nothing is printed.
    ratio : float or None
        Printed over computed.
    verdict : {"follows", "does not follow", "cannot be checked"}
    why : str
    """

    topic: str
    case: str
    quantity: str
    computed: float
    printed: float | None
    ratio: float | None
    verdict: Verdict
    why: str


TOPICS = {
    "rates by the standard": "Corrosion rates of Table 4 from its currents by ASTM G102: 3.27e-3 icorr EW / density.",
    "rates by one factor": "The same rates from the same currents by one factor for each alloy, whatever its origin.",
    "slopes and sweep": "Tafel slopes of Table 4: a slope needs a decade of current, and the sweep had 250 mV a side.",
    "Stern-Geary": "Rp of Table 5 from icorr and slopes of Table 4: ba bc / (2.303 (ba + bc) icorr), slopes in mV.",
    "implied B": "The constant B = Rp icorr that would reconcile both tables; corroding metals show 8 to 60 mV.",
    "temperature": "Activation energies, from ln icorr and from ln 1/Rp over 1/T, and the rise of icorr that each table"
    " gives.",
    "potential shifts": "Shifts of Ecorr from its value at 303 K; the text reads less than 85 mV as no effect on the"
    " balance of both reactions, and calls them slightly positive.",
    "trends": "What the text says of rises and falls with temperature.",
    "loops": "Where the loop of Table 5's Rp and Cdl has its top, 1 / (2 pi Rp Cdl), beside where the text sees it.",
    "network of Table 6": "Parameters from kernels, channels and neurons; flatten size from the input.",
    "network of the text": "Weights of the larger network, and how both descriptions fit together.",
    "images and accuracy": "Counts of Table 3, and accuracies as whole numbers of images.",
}
"""What each group of rows asks."""


def consistency_rows() -> list[dict[str, Any]]:
    """Return every check as a row.

    Returns
    -------
    list of dict
        ``topic``, ``case``, ``quantity``, ``computed``, ``printed``, ``ratio``, ``verdict``, ``why``; see `Check`.
    """
    parts = (
        _rates(), _factors(), _slopes(), _stern_geary(), _implied_b(), _temperature(), _shifts(), _trends(), _loops(),
        _table_6(), _text_network(), _images(),
    )  # fmt: skip
    return [asdict(check) for part in parts for check in part]


def verdict_counts(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Return how many rows have each verdict."""
    return {name: sum(row["verdict"] == name for row in rows) for name in VERDICTS}


def rate_factor(alloy: str) -> float:
    """Return mm a year per uA/cm2, the factor between printed rates and printed currents of an alloy.

    Examples
    --------
    >>> round(rate_factor("316L"), 4), round(rate_factor("AZ31B"), 5)
    (0.3907, 0.12142)
    """
    sweeps = [s2.TABLE_4[alloy, kelvin] for kelvin in s2.TEMPERATURES_K]
    return sum(one.rate_mm_y.value / (one.icorr_a_cm2.value * 1e6) for one in sweeps) / len(sweeps)


def _cases() -> Iterator[tuple[str, int, str]]:
    for alloy, kelvin in s2.TABLE_4:
        yield alloy, kelvin, f"{alloy}, {kelvin} K"


def _against(
    topic: str, case: str, quantity: str, computed: float, printed: s2.Printed, rounding: float, why: tuple[str, str]
) -> Check:
    """Compare within rounding; *rounding* is the relative one of the inputs, *why* the words for both outcomes."""
    ratio = printed.value / computed
    agrees = abs(ratio - 1) <= rounding + printed.relative_rounding
    return Check(
        topic,
        case,
        quantity,
        computed,
        printed.value,
        ratio,
        "follows" if agrees else "does not follow",
        why[0] if agrees else why[1],
    )


def _claim(topic: str, case: str, quantity: str, computed: float, printed: float, holds: bool, why: str) -> Check:
    return Check(
        topic, case, quantity, computed, printed, printed / computed if computed else None,
        "follows" if holds else "does not follow", why,
    )  # fmt: skip


def _open(topic: str, case: str, quantity: str, computed: float, why: str) -> Check:
    return Check(topic, case, quantity, computed, None, None, "cannot be checked", why)


def _rates() -> Iterator[Check]:
    for alloy, kelvin, case in _cases():
        row = s2.TABLE_4[alloy, kelvin]
        computed = corrosion_rate_mm_y(row.icorr_a_cm2.value, *G102[alloy])
        times = row.rate_mm_y.value / computed
        mils = row.rate_mm_y.value / (computed * _MILS)
        wrong = f"printed {times:.3g} times too large; taken as mils a year it would be {mils:.2g} times the true value"
        yield _against(
            "rates by the standard", case, "rate, mm/y", computed, row.rate_mm_y,
            row.icorr_a_cm2.relative_rounding + 0.02, ("equal", wrong),
        )  # fmt: skip


def _factors() -> Iterator[Check]:
    for alloy, kelvin, case in _cases():
        row = s2.TABLE_4[alloy, kelvin]
        yield _against(
            "rates by one factor", case, "rate, mm/y", rate_factor(alloy) * row.icorr_a_cm2.value * 1e6, row.rate_mm_y,
            row.icorr_a_cm2.relative_rounding + row.rate_mm_y.relative_rounding,
            ("one factor serves all temperatures: the rates are icorr times a constant", "no common factor"),
        )  # fmt: skip
    for alloy in s2.ALLOYS:
        computed, factor = corrosion_rate_mm_y(1e-6, *G102[alloy]), rate_factor(alloy)
        yield _claim(
            "rates by one factor", alloy, "factor, mm/y per uA/cm2", computed, factor, False,
            f"the constant used is {factor / computed:.3g} times that of the standard; where it comes from is not said",
        )  # fmt: skip


def _slopes() -> Iterator[Check]:
    for alloy, kelvin, case in _cases():
        row = s2.TABLE_4[alloy, kelvin]
        for name, slope in (("beta_a", row.beta_a), ("-beta_c", row.beta_c)):
            decades = s2.SWEEP_MV / slope.value
            yield _claim(
                "slopes and sweep", case, f"steepest {name} with a decade in the sweep, mV/decade", s2.SWEEP_MV,
                slope.value, decades >= 1, f"the sweep holds {decades:.2f} decades of this slope",
            )  # fmt: skip


def _stern_geary() -> Iterator[Check]:
    for alloy, kelvin, case in _cases():
        row, printed = s2.TABLE_4[alloy, kelvin], s2.TABLE_5[alloy, kelvin].resistance_ohm_cm2
        computed = stern_geary_resistance(row.icorr_a_cm2.value, row.beta_a.value, row.beta_c.value)
        rounding = sum(one.relative_rounding for one in (row.icorr_a_cm2, row.beta_a, row.beta_c))
        wrong = f"Table 4 asks for {computed / printed.value:.3g} times the Rp of Table 5"
        yield _against("Stern-Geary", case, "Rp, ohm cm2", computed, printed, rounding, ("equal", wrong))


def _implied_b() -> Iterator[Check]:
    for alloy, kelvin, case in _cases():
        row, spectrum = s2.TABLE_4[alloy, kelvin], s2.TABLE_5[alloy, kelvin]
        implied = 1e3 * spectrum.resistance_ohm_cm2.value * row.icorr_a_cm2.value
        slopes = 1e3 * stern_geary_b_v(row.beta_a.value, row.beta_c.value)
        usual = USUAL_B_MV[0] <= implied <= USUAL_B_MV[1]
        yield _open(
            "implied B", case, "B, mV", implied,
            f"no B is printed; {'a usual one' if usual else 'larger than corroding metals show'}, where the printed"
            f" slopes give {slopes:.0f} mV" + (": the slopes are what does not fit" if usual else ""),
        )  # fmt: skip


def _temperature() -> Iterator[Check]:
    topic, first, last = "temperature", s2.TEMPERATURES_K[0], s2.TEMPERATURES_K[-1]
    for alloy in s2.ALLOYS:
        current = [s2.TABLE_4[alloy, kelvin].icorr_a_cm2 for kelvin in s2.TEMPERATURES_K]
        resistance = [s2.TABLE_5[alloy, kelvin].resistance_ohm_cm2 for kelvin in s2.TEMPERATURES_K]
        for name, values in (("icorr", [one.value for one in current]), ("1/Rp", [1 / r.value for r in resistance])):
            line = fit_arrhenius(s2.TEMPERATURES_K, values)
            low, high = line.ci95 or (math.nan, math.nan)
            yield _open(
                topic, alloy, f"activation energy from {name}, kJ/mol", line.activation_energy_kj_mol,
                f"none is printed; r2 {line.r_squared:.3f}, and three temperatures leave {low:.0f} to {high:.0f} kJ/mol"
                " open",
            )  # fmt: skip
        # With B unchanged, as the text has it ("not much change in the slopes"), icorr rises as 1/Rp does.
        rise = resistance[0].value / resistance[-1].value
        printed = current[-1].value / current[0].value
        rounding = sum(one.relative_rounding for one in (*current, *resistance))
        agrees = abs(printed / rise - 1) <= rounding
        yield _claim(
            topic, alloy, f"rise of icorr from {first} to {last} K, by 1/Rp with the same B", rise, printed, agrees,
            "equal" if agrees else "the tables disagree on how strongly temperature acts, unless B changes with it",
        )  # fmt: skip


def _shifts() -> Iterator[Check]:
    for alloy in s2.ALLOYS:
        zero = s2.TABLE_4[alloy, s2.TEMPERATURES_K[0]].ecorr_mv.value
        for kelvin in s2.TEMPERATURES_K[1:]:
            shift = s2.TABLE_4[alloy, kelvin].ecorr_mv.value - zero
            case = f"{alloy}, {kelvin} K"
            within = abs(shift) < s2.SHIFT_BOUND_MV
            yield Check(
                "potential shifts", case, "shift of Ecorr, mV, below 85 mV", shift, s2.SHIFT_BOUND_MV, None,
                "follows" if within else "does not follow",
                f"{'below' if within else 'beyond'} the bound; the reference's own temperature is not stated",
            )  # fmt: skip
            yield Check(
                "potential shifts", case, "shift of Ecorr, mV, positive", shift, None, None,
                "follows" if shift > 0 else "does not follow",
                "positive" if shift > 0 else "negative, where the text has a positive shift",
            )  # fmt: skip


def _trends() -> Iterator[Check]:
    first, last = s2.TEMPERATURES_K[0], s2.TEMPERATURES_K[-1]
    for alloy in s2.ALLOYS:
        sweeps = [s2.TABLE_4[alloy, kelvin] for kelvin in s2.TEMPERATURES_K]
        spectra = [s2.TABLE_5[alloy, kelvin] for kelvin in s2.TEMPERATURES_K]
        said = (
            ("icorr rises", [one.icorr_a_cm2.value for one in sweeps], 1),
            ("rate rises", [one.rate_mm_y.value for one in sweeps], 1),
            ("Rp falls", [one.resistance_ohm_cm2.value for one in spectra], -1),
            ("Cdl rises", [one.capacitance_f_cm2.value for one in spectra], 1),
        )
        for name, values, way in said:
            holds = all(way * (after - before) > 0 for before, after in pairwise(values))
            yield Check(
                "trends", alloy, f"{name}: value at {last} K over that at {first} K", values[-1] / values[0], None,
                None, "follows" if holds else "does not follow",
                "at every step" if holds else "not at every step",
            )  # fmt: skip


def _loops() -> Iterator[Check]:
    for alloy, kelvin, case in _cases():
        one = s2.TABLE_5[alloy, kelvin]
        top = 1 / (2 * math.pi * one.resistance_ohm_cm2.value * one.capacitance_f_cm2.value)
        quantity = "top of the loop, Hz"
        if alloy != "AZ31B":
            yield _open("loops", case, quantity, top, "inside the measured band; the text names no frequency")
            continue
        yield _claim(
            "loops", case, quantity, top, s2.FILM_LOOP_HZ, False,
            "the text takes the diameter of a loop near 100 kHz as charge-transfer resistance; the one tabulated has"
            " its top below 1 Hz",
        )  # fmt: skip
    yield _open(
        "loops", "both alloys", "Kramers-Kronig residual", math.nan,
        "spectra are printed as pictures only; whether they obey Kramers-Kronig cannot be told",
    )  # fmt: skip


def _table_6() -> Iterator[Check]:
    topic = "network of Table 6"
    for layer in s2.TABLE_6:
        holds = layer.counted == layer.parameters
        yield _claim(topic, layer.name, "parameters", layer.counted, layer.parameters, holds,
                     "equal" if holds else "differs")  # fmt: skip
    total = sum(layer.counted for layer in s2.TABLE_6)
    yield _claim(topic, "all layers", "parameters", total, s2.PARAMETERS, total == s2.PARAMETERS, "sum of the layers")
    flat = s2.flattened(s2.TABLE_6_INPUT, 4, 4, 128)
    yield _claim(topic, "flatten", "neurons", flat, s2.TABLE_6_FLATTEN, flat == s2.TABLE_6_FLATTEN,
                 "150 px through four convolutions and pools")  # fmt: skip


def _text_network() -> Iterator[Check]:
    topic = "network of the text"
    flat = s2.flattened(s2.TEXT_INPUT, s2.TEXT_CONVOLUTIONS, s2.TEXT_POOLS, 256)
    dense = flat * s2.TEXT_NEURONS + s2.TEXT_NEURONS
    yield _claim(
        topic, "first dense layer", "weights and biases", dense, s2.DENSE_WEIGHTS, dense == s2.DENSE_WEIGHTS,
        "450 px through five convolutions and four pools to 24 x 24 x 256, into 4096 neurons; the other dense layers"
        " are not in the number",
    )  # fmt: skip
    yield Check(
        topic, "convolutions", "weights", math.nan, s2.CONVOLUTION_WEIGHTS, None, "cannot be checked",
        "widths are not stated, and no stack of five 3 x 3 convolutions of common widths has this many",
    )  # fmt: skip
    both = s2.DENSE_WEIGHTS + s2.CONVOLUTION_WEIGHTS
    yield _claim(topic, "all layers", "parameters, beside the total in the text", both, s2.PARAMETERS, False,
                 f"{both / s2.PARAMETERS:.0f} times as many: two different networks")  # fmt: skip
    for case, count in (("Table 6", len(s2.TABLE_6)), ("text", s2.TEXT_CONVOLUTIONS + s2.TEXT_DENSE)):
        yield _claim(topic, case, "layers with weights, beside 'eight layers'", count, s2.LAYERS_CLAIMED,
                     count == s2.LAYERS_CLAIMED, f"{count} layers have weights")  # fmt: skip


def _images() -> Iterator[Check]:
    topic = "images and accuracy"
    original, synthetic = (sum(counts[k] for counts in s2.TABLE_3.values()) for k in (0, 1))
    for case, count in (("original", original), ("synthetic", synthetic), ("all", _IMAGES)):
        yield _open(topic, case, "images", count, "sum of Table 3; the paper prints no sum")
    for case, share in s2.ACCURACY.items():
        hits = round(share * _IMAGES)
        fits = abs(hits / _IMAGES - share) <= 0.0005
        yield _claim(
            topic, f"{share:.1%} ({case})", f"nearest share of all {_IMAGES} images", hits / _IMAGES, share, fits,
            f"{hits} of {_IMAGES} would round to it; the test set's size is not stated" if fits else
            f"no whole number of {_IMAGES} rounds to it, so another set was tested, whose size is not stated",
        )  # fmt: skip
    yield _claim(
        topic, "pre-trained networks", "accuracy of guessing between two classes", 0.5,
        s2.BASELINES["pre-trained networks"], False,
        "below chance: with the names exchanged it would be above 70 %, so the baseline was set up wrongly",
    )  # fmt: skip
    yield _open(
        topic, "severity", "graded images", 0, "no image was graded: the claim to classify severity has no data"
    )
