"""Does a spectrum obey the Kramers-Kronig relations? The linear test of Boukamp with the µ criterion of Schönleber.

A linear, causal, stable and stationary system of finite impedance can be written as a resistor, an inductor, a
capacitor and M resistor-capacitor pairs in series whose time constants are fixed on a logarithmic grid from
1/ω_max to 1/ω_min. Their sizes follow from one linear least squares problem (Boukamp, J. Electrochem. Soc. 142, 1885,
1995), every row divided by the measured |Z|. What such a chain cannot describe breaks the relations. M grows until
µ = 1 - Σ|R_k < 0| / Σ|R_k >= 0| falls below c = 0.85: from there on the chain follows noise (Schönleber, Klotz and
Ivers-Tiffée, Electrochim. Acta 131, 20, 2014).

µ stops too early where R_k of both signs are legitimate: for an inductive loop at low frequencies (adsorbed species),
and for a single sharp time constant that lies between two of the grid, as a dummy cell has. So where a spectrum would
fail at that M, the M of least AICc decides. The grid keeps to the measured range: one that reaches further forgives
drift (an electrode whose resistance halves during the sweep then passes).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.electrochem.spectrum import Spectrum
from sorby.errors import InputError

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

PARTS = ("complex", "real", "imag")
_MU_LIMIT, _MOST_TERMS = 0.85, 50
#: Root mean square residual, relative to |Z|, up to which a spectrum passes whatever the pattern of its residuals.
PASSES_BELOW = 0.005
#: Above it nothing passes: noise of this size hides any violation.
FAILS_ABOVE = 0.03
#: Share of |Z| that -Z'' must have at the lowest frequency for a capacitor in series.
_BLOCKED = 0.1


@dataclass(frozen=True, eq=False)
class KramersKronig:
    """Outcome of the test.

    Attributes
    ----------
    frequency_hz : ndarray, shape (N,)
    residuals : ndarray, shape (N,)
        (Z - fit) / |Z|, complex.
    terms : int
        M, how many resistor-capacitor pairs.
    mu : float
    criterion : str
        ``mu`` or ``AICc``: what chose M; ``given`` where the person did.
    parts : str
        Which part was fitted.
    capacitance : bool
        Whether the chain held a capacitor.
    """

    frequency_hz: Array
    residuals: Complex
    terms: int
    mu: float
    criterion: str
    parts: str
    capacitance: bool

    @property
    def rms(self) -> float:
        """Root mean square of real and imaginary residuals."""
        return float(np.sqrt(np.mean(np.abs(self.residuals) ** 2) / 2))

    @property
    def largest(self) -> float:
        """Largest absolute real or imaginary residual."""
        return float(max(np.abs(self.residuals.real).max(), np.abs(self.residuals.imag).max()))

    @property
    def serial_correlation(self) -> float:
        """Correlation of neighbouring residuals: near zero for noise, large for a violation."""
        parts = np.stack([self.residuals.real, self.residuals.imag])
        power = float((parts**2).sum())
        return float((parts[:, 1:] * parts[:, :-1]).sum()) / power if power > 0 else 0.0

    @property
    def systematic(self) -> bool:
        """Whether neighbouring residuals agree more than noise does (5 %, two series of N - 1 products)."""
        return bool(self.serial_correlation > 1.645 / np.sqrt(2 * (self.residuals.size - 1)))

    @property
    def passed(self) -> bool:
        """At most 0.5 % rms; up to 3 % where the residuals are mere noise."""
        return self.rms <= PASSES_BELOW or (self.rms <= FAILS_ABOVE and not self.systematic)

    def verdict(self) -> str:
        """Return the outcome in a sentence."""
        size = f"residuals {100 * self.rms:.2g} % rms, {100 * self.largest:.2g} % at most, M = {self.terms}"
        if self.passed:
            noisy = " of noise" if self.rms > PASSES_BELOW else ""
            return f"obeys Kramers-Kronig ({size}{noisy})"
        kind = "systematic" if self.systematic else "too large to tell"
        return f"fails Kramers-Kronig ({size}, {kind}): the cell was not linear, stable and stationary"

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of a result."""
        return {
            "passed": self.passed,
            "mu": self.mu,
            "terms": self.terms,
            "criterion": self.criterion,
            "fit": self.parts,
            "series_capacitance": self.capacitance,
            "rms": self.rms,
            "largest": self.largest,
            "serial_correlation": self.serial_correlation,
            "frequency_hz": self.frequency_hz.tolist(),
            "residuals_real": self.residuals.real.tolist(),
            "residuals_imag": self.residuals.imag.tolist(),
            "verdict": self.verdict(),
        }


def kramers_kronig_test(
    spectrum: Spectrum,
    *,
    parts: str = "complex",
    capacitance: bool | None = None,
    mu_limit: float = _MU_LIMIT,
    most_terms: int = _MOST_TERMS,
    terms: int | None = None,
    extended: bool = True,
) -> KramersKronig:
    """Test a spectrum.

    Parameters
    ----------
    spectrum : Spectrum
        With its inductive head: the chain has an inductor.
    parts : {"complex", "real", "imag"}
        What is fitted. With ``real`` the inductor and capacitor, with ``imag`` the resistor, follow from the other
        part afterwards.
    capacitance : bool, optional
        Put a capacitor in the chain, without which a blocked electrode fails, and which makes the test weaker; by
        default where -Z'' still rises at the lowest frequencies.
    mu_limit : float
        c; between 0 (overfitting allowed) and 1 (none).
    most_terms : int
        Largest M tried.
    terms : int, optional
        M, where neither criterion shall choose it.
    extended : bool
        Let AICc choose M where the spectrum fails with that of µ; off, the test is as published.

    Returns
    -------
    KramersKronig

    Raises
    ------
    InputError
        A setting cannot be.
    """
    if parts not in PARTS:
        raise InputError(f"Kramers-Kronig fit {parts!r} is not known", f"choose one of {', '.join(PARTS)}")
    if not 0 <= mu_limit <= 1 or most_terms < 1 or (terms is not None and terms < 1):
        raise InputError("the settings of the Kramers-Kronig test cannot be", "c in [0, 1] and at least one term")
    if capacitance is None:
        reaction = -spectrum.impedance.imag
        capacitance = bool(reaction[-1] > max(reaction[-3], _BLOCKED * np.abs(spectrum.impedance[-1])))
    chain = _Chain(2 * np.pi * spectrum.frequency_hz, spectrum.impedance, parts, capacitance)
    if terms is not None:
        criterion, (residuals, mu) = "given", chain.fit(terms)
    else:
        criterion, terms = "mu", 1
        residuals, mu = chain.fit(terms)
        while mu > mu_limit and terms < most_terms:
            terms += 1
            residuals, mu = chain.fit(terms)
    outcome = KramersKronig(spectrum.frequency_hz, residuals, terms, mu, criterion, parts, capacitance)
    if criterion == "given" or outcome.passed or not extended:
        return outcome
    terms = chain.best_by_aicc(min(most_terms, spectrum.n_points - 3))
    residuals, mu = chain.fit(terms)
    return KramersKronig(spectrum.frequency_hz, residuals, terms, mu, "AICc", parts, capacitance)


class _Chain:
    """The linear problem for one spectrum; columns are resistor, pairs, capacitor, inductor."""

    def __init__(self, omega: Array, z: Complex, parts: str, capacitance: bool) -> None:
        self.omega, self.z, self.size = omega, z, np.abs(z)
        self.parts, self.capacitance = parts, capacitance
        reactive = [-1j / omega, 1j * omega] if capacitance else [1j * omega]
        self.reactive = np.stack(reactive, axis=1) / self.size[:, None]
        self.resistor = (1 / self.size).astype(np.complex128)[:, None]
        self.target = z / self.size

    def fit(self, terms: int) -> tuple[Complex, float]:
        """Return relative residuals (N,) and µ for M pairs."""
        slowest, fastest = 1 / self.omega.min(), 1 / self.omega.max()
        times = np.geomspace(fastest, slowest, terms) if terms > 1 else np.array([slowest])
        pairs = 1 / (1 + 1j * self.omega[:, None] * times) / self.size[:, None]
        fitted, resistances = getattr(self, f"_by_{self.parts}")(pairs)
        positive = float(resistances[resistances >= 0].sum())
        mu = 1 + float(resistances[resistances < 0].sum()) / positive if positive > 0 else -np.inf
        return self.target - fitted, mu

    def _by_complex(self, pairs: Complex) -> tuple[Complex, Array]:
        columns = np.concatenate([self.resistor, pairs, self.reactive], axis=1)
        found = _solve(_stacked(columns), _stacked(self.target))
        return np.asarray(columns @ found), found[1 : 1 + pairs.shape[1]]

    def _by_real(self, pairs: Complex) -> tuple[Complex, Array]:
        columns = np.concatenate([self.resistor, pairs], axis=1)
        found = _solve(columns.real, self.target.real)
        fitted = columns @ found
        rest = _solve(self.reactive.imag, (self.target - fitted).imag)
        return np.asarray(fitted + self.reactive @ rest), found[1:]

    def _by_imag(self, pairs: Complex) -> tuple[Complex, Array]:
        columns = np.concatenate([pairs, self.reactive], axis=1)
        found = _solve(columns.imag, self.target.imag)
        fitted = columns @ found
        weight = 1 / self.size**2
        resistance = float(weight @ (self.z.real - fitted.real * self.size) / weight.sum())
        return fitted + resistance * self.resistor[:, 0], found[: pairs.shape[1]]

    def best_by_aicc(self, most: int) -> int:
        """Return the M of least AICc."""
        n, best, least = 2 * self.z.size, 1, np.inf
        for terms in range(1, most + 1):
            k = terms + 3 + self.capacitance
            if n <= k + 1:
                break
            squares = float((np.abs(self.fit(terms)[0]) ** 2).sum())
            aicc = n * np.log(max(squares, 1e-300) / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1)
            if aicc < least:
                best, least = terms, aicc
        return best


def _stacked(values: Complex) -> Array:
    return np.concatenate([values.real, values.imag])


def _solve(columns: Array, target: Array) -> Array:
    """Return the least squares solution of least length."""
    return np.asarray(np.linalg.lstsq(columns, target, rcond=1e-15)[0])
