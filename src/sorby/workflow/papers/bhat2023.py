"""What S2 prints: P. Bhat, T. Shukla et al., "Deep Neural Network as a Tool to Classify and Identify the 316L SS and
AZ31BMg Metal Surface Morphology: An Empirical Study", Engineered Science (accepted December 2023). Its tables, its
electrochemistry, its networks, and what must be known to read them.

Numbers of Tables 4 and 5 keep the digits they are printed with, for a check against another can be no finer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Printed:
    """A number as printed.

    Attributes
    ----------
    text : str
        Its digits.
    scale : float
        What the head of its column multiplies it by.
    """

    text: str
    scale: float = 1.0

    @property
    def value(self) -> float:
        """The number."""
        return float(self.text) * self.scale

    @property
    def half_unit(self) -> float:
        """Half a unit of the last digit: how far rounding may have moved it.

        Examples
        --------
        >>> Printed("28.14").half_unit
        0.005
        """
        return 0.5 * 10.0 ** int(Decimal(self.text).as_tuple().exponent) * self.scale

    @property
    def relative_rounding(self) -> float:
        """The same as a part of the number."""
        return self.half_unit / abs(self.value)


@dataclass(frozen=True)
class Polarisation:
    """A row of Table 4.

    Attributes
    ----------
    icorr_a_cm2, rate_mm_y : Printed
    beta_a, beta_c : Printed
        Headed "V dec-1"; they can only be mV a decade.
    ecorr_mv : Printed
        Against a saturated calomel electrode.
    """

    icorr_a_cm2: Printed
    rate_mm_y: Printed
    beta_a: Printed
    beta_c: Printed
    ecorr_mv: Printed


@dataclass(frozen=True)
class Impedance:
    """A row of Table 5.

    Attributes
    ----------
    capacitance_f_cm2, resistance_ohm_cm2 : Printed
    """

    capacitance_f_cm2: Printed
    resistance_ohm_cm2: Printed


def _sweep(current: str, rate: str, beta_a: str, beta_c: str, potential: str) -> Polarisation:
    return Polarisation(Printed(current, 1e-5), Printed(rate), Printed(beta_a), Printed(beta_c), Printed(potential))


def _spectrum(capacitance: str, resistance: str) -> Impedance:
    return Impedance(Printed(capacitance, 1e-4), Printed(resistance))


ALLOYS = ("316L", "AZ31B")
TEMPERATURES_K = (303, 313, 323)

TABLE_3 = {"316L": (12, 77), "AZ31B": (13, 108)}
"""Original and valid synthetic images (S2-13)."""

TABLE_4: Mapping[tuple[str, int], Polarisation] = {
    ("316L", 303): _sweep("7.203", "28.14", "1356.5", "1098.8", "-413.0"),
    ("316L", 313): _sweep("7.834", "30.61", "1601.3", "916.6", "-371.0"),
    ("316L", 323): _sweep("9.647", "37.69", "1190.7", "837.5", "-375.0"),
    ("AZ31B", 303): _sweep("5.420", "6.581", "427.7", "542.6", "-1542"),
    ("AZ31B", 313): _sweep("7.466", "9.065", "451.4", "541.6", "-1549"),
    ("AZ31B", 323): _sweep("9.611", "11.67", "419.4", "531.4", "-1533"),
}
"""Polarisation by alloy and kelvin (S2-05)."""

TABLE_5: Mapping[tuple[str, int], Impedance] = {
    ("316L", 303): _spectrum("1.931", "318.9"),
    ("316L", 313): _spectrum("4.5637", "246.839"),
    ("316L", 323): _spectrum("5.3313", "196.019"),
    ("AZ31B", 303): _spectrum("6.11", "1056.81"),
    ("AZ31B", 313): _spectrum("11.23", "938.52"),
    ("AZ31B", 323): _spectrum("15.48", "794.80"),
}
"""Impedance by alloy and kelvin (S2-09)."""

SWEEP_MV, SWEEP_MV_S = 250.0, 1.0
"""How far from the open-circuit potential, and how fast (S2-03)."""
AMPLITUDE_MV, SPECTRUM_HZ = 10.0, (0.01, 100e3)
"""Of the impedance measurements (S2-07)."""
SHIFT_BOUND_MV = 85.0
"""A smaller shift of Ecorr is read as "both reactions are equally affected" (S2-10)."""
FILM_LOOP_HZ = 100e3
"""Where the text sees the capacitive loop of magnesium whose diameter it takes as the charge-transfer resistance."""


@dataclass(frozen=True)
class Layer:
    """A row of Table 6 that has weights.

    Attributes
    ----------
    name : str
    inputs, outputs : int
        Channels or neurons.
    kernel : int
        Side of the convolution; 0 for a dense layer.
    parameters : int
        As printed.
    """

    name: str
    inputs: int
    outputs: int
    kernel: int
    parameters: int

    @property
    def counted(self) -> int:
        """Weights and biases: k k cin cout + cout, or n m + m.

        Examples
        --------
        >>> Layer("conv2d_8", 3, 32, 3, 896).counted
        896
        """
        return (self.kernel**2 or 1) * self.inputs * self.outputs + self.outputs


TABLE_6 = (
    Layer("conv2d_8", 3, 32, 3, 896),
    Layer("conv2d_9", 32, 64, 3, 18_496),
    Layer("conv2d_10", 64, 128, 3, 73_856),
    Layer("conv2d_11", 128, 128, 3, 147_584),
    Layer("dense_4", 6272, 512, 0, 3_211_776),
    Layer("dense_5", 512, 1, 0, 513),
)
"""150 x 150 x 3, 3 x 3 convolutions without border, each followed by a pool that halves (S2-27)."""
TABLE_6_INPUT, TABLE_6_FLATTEN = 150, 6272
PARAMETERS = 3_453_121
"""Stated in the text as total and trainable."""
DENSE_WEIGHTS, CONVOLUTION_WEIGHTS = 603_983_872, 1_204_892
"""Of the "master CNN model", in the text (S2-28)."""
TEXT_INPUT, TEXT_CONVOLUTIONS, TEXT_POOLS, TEXT_DENSE, TEXT_NEURONS = 450, 5, 4, 4, 4096
LAYERS_CLAIMED = 8

ACCURACY = {"text and conclusion": 0.924, "abstract": 0.927}
"""Of the classification (S2-31)."""
BASELINES = {"pre-trained networks": 0.30, "open-source networks": 0.45}
"""Accuracies that were not reached (S2-33)."""
GUIDED_GAIN = 0.047
"""By adjusting on misclassified images (S2-37)."""
COLLAPSE, COLLAPSE_EPOCHS = (0.92, 0.73), (150, 200)
"""Validation accuracy before and after; the text gives both epochs (S2-35)."""


def flattened(side: int, convolutions: int, pools: int, channels: int) -> int:
    """Return what 3 x 3 convolutions without border leave of a square image, a pool after each of the first *pools*.

    Examples
    --------
    >>> flattened(150, 4, 4, 128), flattened(450, 5, 4, 256)
    (6272, 147456)
    """
    for k in range(convolutions):
        side = (side - 2) // (2 if k < pools else 1)
    return side * side * channels


FLAWS = (
    "Two networks are described. Table 6 has four convolutions, two dense layers, no batch normalisation and 150 px"
    " input; the text has five, four, five batch normalisations and 450 px. 'Eight layers' fits neither: six layers"
    " of Table 6 have weights, nine of the text.",
    "3,453,121 parameters 'in all' stand beside 603,983,872 + 1,204,892, which is 175 times as many. The larger number"
    " is the first dense layer alone.",
    "A 'sigmoid output layer with 4096 neurons' stands beside one output neuron. Transfer learning was rejected in"
    " section 4.1; the conclusion credits it with the 92.4 %.",
    "Labels are the two alloys, which differ before any corrosion. Nothing was graded, so no number in the paper says"
    " anything about severity. Here phantoms carry grades 0 to 4 as truth.",
    "25 photographs became 210 images, and no split is described. A synthetic image of a test photograph in the"
    " training part leaks; here it keeps to its parents' fold.",
    "The size of the test set is not stated. 92.4 % fits 61 of 66, 97 of 105, 194 of 210 and others; 92.7 % fits 38"
    " of 41, 51 of 55, 76 of 82, but no count of 210.",
    "The synthesis described predicts video: optical flow and clips of five successive frames, for unordered stills."
    " The generator is 'five layers with LeakyReLU' and a U-Net.",
    "Equation 2 is a gradient of brightness within an image but is introduced as a temporal loss; its second term"
    " takes the wrong neighbour, and its argument should be two images, not their difference.",
    "Less than 30 % of two classes is below chance; exchanging the two names would have given more than 70 %. Those"
    " baselines were set up wrongly, so being better than they are is no evidence.",
    "Printed corrosion rates are 37.4 (316L) and 5.4 (AZ31B) times what ASTM G102 makes of the printed currents, the"
    " same factor at all temperatures: a wrong constant. 72 uA/cm2 on passive 316L, more than on magnesium, is"
    " implausible by itself.",
    "Slopes headed V a decade can only be mV. Even so, 419 to 1601 mV a decade are no Tafel slopes: a sweep of 250 mV"
    " either way holds .16 to .60 decades of them.",
    "Rp of Table 5 and icorr and slopes of Table 4 contradict each other by Stern and Geary's equation, 11 to 13 times"
    " for 316L and 1.3 to 1.8 times for AZ31B.",
    "A 'focal length of 10 micrometres' is a working distance of 10 mm at best. The solution's resistance is called"
    " charge-transfer resistance in one figure. Paragraphs on augmentation are under each other's names (flips tell of"
    " rotation, rotation of shift, shift of flips). Colour maps are called filters. The collapse of validation accuracy"
    " comes at 150 epochs in one place and at 200 in another.",
    "The gain of 4.7 points came from looking at misclassified images and adjusting: selection on the images the result"
    " is reported for. Here a test split is locked before the first look.",
    "One curve for each alloy and temperature: no figure has a scatter, and three currents give an activation"
    " energy whose interval is wider than the energy.",
)
"""What must be known to read the published figures (F-2.1 to F-2.13)."""
