"""What a certificate says: the input of the page and of the tables beside it.

A certificate *supports* work under a quality system; it is the laboratory that is accredited or not, and the user who
validates. The page says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sorby.micrograph import Pixels
from sorby.record import Anchor

SUPPORTS = (
    "This page supports documentation under ISO/IEC 17025 and 21 CFR Part 11. It does not establish compliance:"
    " validation of the method, the software and the record for the intended use is the user's."
)
"""The wording of every certificate."""


@dataclass(frozen=True)
class Letterhead:
    """Who issues.

    Attributes
    ----------
    laboratory : str
    lines : tuple of str
        Address, telephone, accreditation number; two are printed.
    logo : Path or None
        PNG or JPEG.
    fonts : tuple of Path
        TrueType files for letters that DejaVu Sans lacks, such as Chinese ones.
    """

    laboratory: str = ""
    lines: tuple[str, ...] = ()
    logo: Path | None = None
    fonts: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Conclusion:
    """What was found, by the model and by people.

    Attributes
    ----------
    label : str
        The model's verdict.
    confidence : float or None
        Its calibrated probability.
    confidence_ci95 : (float, float) or None
    labels : tuple of str
        Conformal set.
    guarantee : str
        What the set promises, as the bundle states it.
    novelty : float or None
        p-value of "like the taught images".
    reasons : tuple of str
        Why the images were referred to a person, in words; empty where they were not.
    reliability : str
        How well such verdicts did where the truth was known, with n and interval.
    decision : str
        What a person decided; empty where nobody did. Where it differs from the label, both are printed.
    question : str
        What was asked, e.g. ``Microstructure and needle-length grade``.
    """

    label: str
    confidence: float | None = None
    confidence_ci95: tuple[float, float] | None = None
    labels: tuple[str, ...] = ()
    guarantee: str = ""
    novelty: float | None = None
    reasons: tuple[str, ...] = ()
    reliability: str = ""
    decision: str = ""
    question: str = "Verdict"


@dataclass(frozen=True)
class Measurement:
    """A quantity with its uncertainty, and by which standard.

    Attributes
    ----------
    quantity : str
    value : float
    unit : str
    ci95 : (float, float) or None
    standard, edition : str
        For example ``ISO 643`` and ``2024``; a house scale is called so.
    note : str
    """

    quantity: str
    value: float
    unit: str = ""
    ci95: tuple[float, float] | None = None
    standard: str = ""
    edition: str = ""
    note: str = ""


@dataclass(frozen=True, eq=False)
class CertificateImage:
    """One image of the specimen.

    Attributes
    ----------
    picture : Path or ndarray, shape (H, W) or (H, W, 3)
    name : str
    sha256 : str
        Of the file.
    pixel_size_um : float or None
        Without it there is no scale bar, and the page says so.
    scale_source : str
        Where the pixel size is from.
    magnification : float or None
    label : str
    confidence : float or None
    overlay : Path or ndarray or None
        The same field with a map, mask or measurement over it, printed beside the image.
    overlay_says : str
        What the overlay shows.
    """

    picture: Path | Pixels
    name: str
    sha256: str = ""
    pixel_size_um: float | None = None
    scale_source: str = ""
    magnification: float | None = None
    label: str = ""
    confidence: float | None = None
    overlay: Path | Pixels | None = None
    overlay_says: str = ""


@dataclass(frozen=True)
class Review:
    """Who answered for it: an electronic signature.

    Attributes
    ----------
    person, role : str
    meaning : str
        ``authored``, ``reviewed``, ``approved`` or ``rejected``.
    at : str
        UTC, ISO 8601 with Z.
    entry : int or None
        Sequence of the record's entry.
    reason : str
    """

    person: str
    role: str
    meaning: str
    at: str
    entry: int | None = None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Certificate:
    """All that is printed about one specimen.

    Attributes
    ----------
    number : str
        Of the certificate; names its file.
    issued_at : str
        UTC, ISO 8601 with Z.
    specimen : str
    conclusion : Conclusion
    title : str
    letterhead : Letterhead
    particulars : Mapping of str to str
        Material, order, heat, instrument and the like, printed in their order.
    measurements : tuple of Measurement
    images : tuple of CertificateImage
        The first are printed; the tables hold all.
    reviews : tuple of Review
    bundle, bundle_sha256 : str
        Name and hash of the model.
    software : str
        Name and version.
    data : Mapping of str to str
        Further things it rests on, name to SHA-256.
    record : Anchor or None
        Count and head of the record when this was issued: checked with ``sorby record verify --anchor``.
    record_url : str
        Where the record can be read; goes into the QR code.
    remarks : tuple of str
        Limits of the model, deviations from the procedure.
    """

    number: str
    issued_at: str
    specimen: str
    conclusion: Conclusion
    title: str = "Certificate of image examination"
    letterhead: Letterhead = field(default_factory=Letterhead)
    particulars: Mapping[str, str] = field(default_factory=dict)
    measurements: tuple[Measurement, ...] = ()
    images: tuple[CertificateImage, ...] = ()
    reviews: tuple[Review, ...] = ()
    bundle: str = ""
    bundle_sha256: str = ""
    software: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    record: Anchor | None = None
    record_url: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """What counts: the person's decision where there is one, else the model's label."""
        return self.conclusion.decision or self.conclusion.label

    @property
    def code(self) -> str:
        """What the QR code holds: the record's address, else count and head; empty without either."""
        if self.record_url:
            return self.record_url
        return f"sorby:record:{self.record.count}:{self.record.head}" if self.record else ""
