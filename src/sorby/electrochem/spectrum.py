"""An impedance spectrum: frequencies and complex impedances, and what is known about their signs and units."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

_FEWEST = 5


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Measured impedance, from the highest frequency to the lowest.

    Attributes
    ----------
    frequency_hz : ndarray, shape (N,)
        Positive, falling, each once.
    impedance : ndarray, shape (N,)
        Complex; imaginary part negative where capacitive. In ohm, or ohm cm2 where *normalised*.
    path : str
        Where it was read from, "" for one made in memory.
    vendor : str
        Whose format.
    conventions : tuple of str
        Unit and sign of every column, and where that is stated.
    warnings : tuple of str
        What the reader must know: points left out, an aborted run, frequencies computed.
    normalised : bool
        Whether the impedance is that of one square centimetre.
    """

    frequency_hz: Array
    impedance: Complex
    path: str = ""
    vendor: str = ""
    conventions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())
    normalised: bool = False

    @property
    def n_points(self) -> int:
        """How many frequencies."""
        return int(self.frequency_hz.size)

    @property
    def unit(self) -> str:
        """Of the impedance."""
        return "ohm cm2" if self.normalised else "ohm"

    @property
    def inductive_head(self) -> int:
        """How many points at the high-frequency end have a positive imaginary part: leads and cell."""
        return _leading(self.impedance.imag > 0)

    @property
    def inductive_tail(self) -> int:
        """How many points at the low-frequency end are positive: a loop, drift or noise."""
        return _leading(self.impedance.imag[::-1] > 0)

    def per_area(self, area_cm2: float) -> Spectrum:
        """Return the spectrum in ohm cm2.

        Raises
        ------
        InputError
            The area is not positive, or the spectrum is per area already.
        """
        if not (np.isfinite(area_cm2) and area_cm2 > 0):
            raise InputError(f"{self.path or 'spectrum'}: an area of {area_cm2:g} cm2 carries no current",
                             "give the wetted area of the electrode, above 0")  # fmt: skip
        if self.normalised:
            raise InputError(f"{self.path or 'spectrum'}: the impedance is in ohm cm2 already", "leave the area out")
        return replace(self, impedance=self.impedance * area_cm2, normalised=True)

    def without_inductive_head(self) -> Spectrum:
        """Return the spectrum without the inductive points at its high-frequency end, which a warning counts.

        Raises
        ------
        InputError
            Fewer than five points are left.
        """
        n = self.inductive_head
        if not n:
            return self
        if self.n_points - n < _FEWEST:
            raise InputError(
                f"{self.path or 'spectrum'}: {n} of {points(self.n_points)} have a positive imaginary part, which a"
                " circuit without inductor cannot have",
                "a turned sign? then --sign minus-imag; otherwise take a circuit with an L",
            )
        said = (
            f"{points(n)} above {self.frequency_hz[n]:.4g} Hz left out: imaginary part positive, circuit without"
            " inductor",
        )
        kept = replace(self, frequency_hz=self.frequency_hz[n:], impedance=self.impedance[n:])
        return replace(kept, warnings=self.warnings + said)

    def between(self, low_hz: float | None, high_hz: float | None) -> Spectrum:
        """Return the points from *low_hz* to *high_hz*, both included.

        Raises
        ------
        InputError
            Fewer than five points are left.
        """
        low, high = (0.0 if low_hz is None else low_hz), (np.inf if high_hz is None else high_hz)
        kept = (self.frequency_hz >= low) & (self.frequency_hz <= high)
        if kept.sum() < _FEWEST:
            raise InputError(
                f"{self.path or 'spectrum'}: {kept.sum()} points lie between {low:g} and {high:g} Hz",
                f"it reaches from {self.frequency_hz[-1]:.4g} to {self.frequency_hz[0]:.4g} Hz",
            )
        return replace(self, frequency_hz=self.frequency_hz[kept], impedance=self.impedance[kept])


def make_spectrum(
    frequency_hz: npt.ArrayLike,
    impedance: npt.ArrayLike,
    *,
    path: str = "",
    vendor: str = "",
    conventions: tuple[str, ...] = (),
    warnings: tuple[str, ...] = (),
    normalised: bool = False,
) -> Spectrum:
    """Put measured points in order.

    Points that are not finite are left out, equal points kept once, different impedances at one frequency averaged;
    each is said in a warning.

    Parameters
    ----------
    frequency_hz : array_like, shape (N,)
        In any order.
    impedance : array_like, shape (N,)
        Complex, in ohm (ohm cm2 where *normalised*).
    path, vendor, conventions, warnings, normalised
        As in `Spectrum`.

    Raises
    ------
    InputError
        Fewer than five usable points, or a frequency that is not positive.
    """
    frequency = np.asarray(frequency_hz, np.float64).ravel()
    z = np.asarray(impedance, np.complex128).ravel()
    where, said = path or "spectrum", list(warnings)
    if frequency.size != z.size:
        raise InputError(f"{where}: {frequency.size} frequencies for {z.size} impedances", "give one of each a point")
    whole = np.isfinite(frequency) & np.isfinite(z.real) & np.isfinite(z.imag)
    if not whole.all():
        said.append(f"{points(int((~whole).sum()))} left out: frequency or impedance is missing")
        frequency, z = frequency[whole], z[whole]
    if (frequency <= 0).any():
        raise InputError(
            f"{where}: a frequency of {frequency.min():g} Hz is none", "leave direct-current points out of the spectrum"
        )
    frequency, z, repeated = _once_each(frequency, z)
    said += repeated
    if frequency.size < _FEWEST:
        raise InputError(f"{where}: {frequency.size} usable points", f"a spectrum needs at least {_FEWEST}")
    if not np.abs(z).min() > 0:
        raise InputError(f"{where}: an impedance of 0 cannot be measured", "check the columns")
    return Spectrum(frequency, z, path, vendor, conventions, tuple(said), normalised)


def _once_each(frequency: Array, z: Complex) -> tuple[Array, Complex, list[str]]:
    """Return points by falling frequency, those at one frequency averaged, and what there is to say."""
    unique, place = np.unique(-frequency, return_inverse=True)
    if unique.size == frequency.size:
        return -unique, z[np.argsort(-frequency)], []
    count = np.bincount(place)
    mean = np.asarray((np.bincount(place, z.real) + 1j * np.bincount(place, z.imag)) / count, np.complex128)
    apart = float(np.max(np.abs(z - mean[place]) / np.abs(mean[place])))
    twice = int((count > 1).sum())
    if apart < 1e-12:
        return -unique, mean, [f"{twice} frequencies occur more than once with equal impedance; kept once"]
    said = f"{twice} frequencies occur more than once; averaged, up to {100 * apart:.2g} % from their mean"
    return -unique, mean, [said]


def points(n: int) -> str:
    """Return ``1 point`` or ``2 points``."""
    return f"{n} point{'' if n == 1 else 's'}"


def _leading(there: npt.NDArray[np.bool_]) -> int:
    """Return how many true values stand at the beginning."""
    return int(there.size if there.all() else np.argmin(there))
