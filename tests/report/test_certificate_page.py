"""A certificate is one page whatever it says, shows lengths truly, and says nothing it was not told."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium
import pytest
from reportlab.lib.pagesizes import A4

from sorby.errors import InputError
from sorby.record import Anchor
from sorby.report.certificate import (
    SUPPORTS,
    Certificate,
    CertificateImage,
    Conclusion,
    Letterhead,
    Measurement,
    Review,
)
from sorby.report.certificate_lettering import Lettering, visual_order
from sorby.report.certificate_page import render_certificate, write_certificate

AT = "2026-11-22T09:41:07.123456Z"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def field(seed: int, height: int = 120, width: int = 160) -> np.ndarray:
    return np.random.default_rng(seed).integers(90, 160, (height, width)).astype(np.uint8)


def image(seed: int = 0, *, overlay: bool = False, **change: object) -> CertificateImage:
    given = CertificateImage(
        field(seed), f"field-{seed}.tif", sha(str(seed)), 0.5, "user", 200.0, "G8", 0.91,
        np.stack([field(seed)] * 3, axis=2) if overlay else None, "where the classifier looked",
    )  # fmt: skip
    return replace(given, **change)


CERTIFICATE = Certificate(
    number="2026-7",
    issued_at=AT,
    specimen="1863-A-07",
    conclusion=Conclusion(
        "G9-10", 0.962, (0.91, 0.98), ("G9-10", "G8"), "90 % of such sets hold the class", 0.43,
        ("the conformal set holds more than one class",), "Of 326 test images 90.5 % were named right.", "G9-10",
    ),
    letterhead=Letterhead("House of Needles", ("1 Sharrow Vale",)),
    particulars={"Material": "100Cr6", "Condition": "hardened"},
    measurements=(Measurement("Mean needle length", 4.83, "µm", (4.12, 5.61), "house scale", "2024"),),
    images=(image(1, overlay=True), image(2)),
    reviews=(Review("Revi Krüger", "reviewer", "reviewed", AT, 1194, "agrees with plate 9"),),
    bundle="steel 1.4",
    bundle_sha256=sha("bundle"),
    software="sorby 0",
    record=Anchor(1197, sha("head")),
)  # fmt: skip

ENDLESS = replace(
    CERTIFICATE,
    number="N" * 300,
    specimen="Образец 試料 דגימה عينة " + "very long " * 80,
    title="T" * 200,
    letterhead=Letterhead("L" * 300, ("x" * 400,) * 5),
    conclusion=Conclusion(
        "A <b>label</b> & more " * 9, 0.99999, (0.9, 0.99999), tuple(f"class {k}" for k in range(60)), "promise " * 80,
        1e-4, tuple(f"reason {k} is long" for k in range(30)), "reliability " * 90, "Decision " * 12, "q" * 500,
    ),
    particulars={f"field {k} {'w' * 80}": "v" * 500 + " words" * 90 for k in range(40)},
    measurements=tuple(
        Measurement(f"{k}" + "m" * 200, 1 / 3, "unit" * 20, (0, 1e9), "std " * 60, "e" * 80, "n " * 90)
        for k in range(40)
    ),
    images=tuple(image(k, overlay=k % 2 == 0) for k in range(30)),
    reviews=tuple(Review("Name " * 60, "role" * 40, "approved", AT, 10**12, "reason " * 200) for _ in range(30)),
    data={f"{k}" * 90: sha(str(k)) for k in range(50)},
    remarks=("remark " * 100,) * 20,
)  # fmt: skip


def opened(certificate: Certificate) -> pdfium.PdfDocument:
    return pdfium.PdfDocument(render_certificate(certificate))


def text_of(certificate: Certificate) -> str:
    page = opened(certificate)[0].get_textpage()
    return " ".join(page.get_text_bounded().split())  # no-break spaces become plain ones


def rendered(certificate: Certificate, scale: float = 2.0) -> np.ndarray:
    return np.asarray(opened(certificate)[0].render(scale=scale).to_pil().convert("L"))


def test_the_page_says_what_it_was_told():
    text = text_of(CERTIFICATE)
    for part in (
        "House of Needles", "No. 2026-7", "issued 2026-11-22 09:41 UTC", "1863-A-07", "100Cr6", "G9-10",
        "96.2 % (95 % interval 91.0 % to 98.0 %)", "G9-10, G8: 90 % of such sets hold the class", "p = 0.43",
        "holds more than one class", "4.83 µm", "4.12 to 5.61 µm", "house scale, 2024", "Revi Krüger, reviewer",
        "entry 1194", "agrees with plate 9", sha("bundle"), sha("1"), f"1197:{sha('head')}", "field-1.tif",
        "0.5 µm/px (user)", "where the classifier looked", *SUPPORTS.split(". "),
    ):  # fmt: skip
        assert part in text, part


def test_one_page_of_the_same_bytes_each_time():
    assert render_certificate(CERTIFICATE) == render_certificate(CERTIFICATE)
    assert len(opened(CERTIFICATE)) == 1


@pytest.mark.parametrize("scarce", ["images", "measurements", "particulars", "reviews", "none"])
def test_endless_content_stays_on_one_page_and_what_is_left_out_is_counted(scarce):
    endless = ENDLESS if scarce == "none" else replace(ENDLESS, **{scarce: getattr(CERTIFICATE, scarce)})
    assert len(opened(endless)) == 1
    page = rendered(endless)
    between = page[round(2 * (A4[1] - 51)) : round(2 * (A4[1] - 46))]
    assert between.min() == 255  # nothing runs into the footer
    text = text_of(endless)
    assert f"1197:{sha('head')}" in text  # an anchor is never cut
    left = {"images": 30, "measurements": 40, "reviews": 30}
    for name, word in (("images", "image"), ("measurements", "measurement"), ("reviews", "signature")):
        if name != scarce:
            counted = re.search(rf"(\d+) further {word}s in the table", text)
            assert counted is not None
            assert 0 < int(counted[1]) < left[name]
    assert "<b>label</b>" in text  # markup of a label is text


def test_a_page_with_hardly_anything_says_that_nobody_signed():
    bare = Certificate("1", AT, "X", Conclusion("defect"))
    text = text_of(bare)
    assert "nobody has reviewed or approved this" in text
    assert "by the model alone" in text
    assert len(opened(bare)) == 1


def test_a_correction_by_a_person_is_shown_beside_the_models_verdict():
    corrected = replace(CERTIFICATE, conclusion=replace(CERTIFICATE.conclusion, decision="M8"))
    text = text_of(corrected)
    assert "M8" in text
    assert "decided by a person; the model said G9-10" in text
    assert corrected.verdict == "M8"


def longest_run(white: np.ndarray) -> int:
    """Return how many true values stand in a row at most, over all lines."""
    places = np.arange(1, white.shape[1] + 1)
    return int((places - np.maximum.accumulate(np.where(white, 0, places), axis=1)).max())


@pytest.mark.parametrize(
    ("pixel_size_um", "says", "um"), [(0.5, "20 µm", 20), (0.0331, "1 µm", 1), (30.0, "1 mm", 1000)]
)
def test_the_scale_bar_is_as_long_as_it_says(pixel_size_um, says, um):
    plain = np.full((120, 160), 128, np.uint8)
    alone = replace(CERTIFICATE, images=(image(1, picture=plain, pixel_size_um=pixel_size_um),))
    assert says in text_of(alone)
    page = rendered(alone, 3.0)
    grey = abs(page.astype(int) - 128) <= 1
    rows, columns = np.flatnonzero(grey.sum(1) > 300), np.flatnonzero(grey.sum(0) > 200)
    field_of_view = page[rows.min() : rows.max(), columns.min() : columns.max()]
    measured = longest_run(field_of_view > 250) / columns.size * 160 * pixel_size_um
    assert measured == pytest.approx(um, rel=0.03)  # a pixel of the rendering at either end


def test_an_image_without_scale_has_no_bar_and_says_so():
    text = text_of(replace(CERTIFICATE, images=(image(1, pixel_size_um=None, scale_source=""),)))
    assert "no scale stated" in text
    assert not re.search(r"\d (nm|mm)\b", text)


def test_an_overlay_of_another_shape_gets_no_bar():
    """A panel with a colour scale beside the picture shows more than the field."""
    panel = image(1, overlay=True, label="", confidence=None)
    text = text_of(replace(CERTIFICATE, images=(panel,)))
    wide = text_of(replace(CERTIFICATE, images=(replace(panel, overlay=field(3, 120, 260)),)))
    assert text.count("20 µm") == 2
    assert wide.count("20 µm") == 1


def test_the_code_leads_to_the_record():
    cv2 = pytest.importorskip("cv2", reason="reads the QR code")
    for url in ("", "https://station.example/records/1197"):
        page = rendered(replace(CERTIFICATE, record_url=url), 4.0)
        found, *_ = cv2.QRCodeDetector().detectAndDecode(
            np.ascontiguousarray(page[: page.shape[0] // 6, page.shape[1] // 2 :])
        )
        assert found == (url or f"sorby:record:1197:{sha('head')}")
        if not url:
            assert Anchor.parse(found) == CERTIFICATE.record


def test_letters_of_many_scripts_are_embedded_and_others_are_counted():
    text = text_of(replace(CERTIFICATE, specimen="Győr Ελένη Образец Þórr"))
    assert "Győr Ελένη Образец Þórr" in text
    assert "letters are in no embedded font" not in text
    text = text_of(replace(CERTIFICATE, specimen="試料"))
    assert "2 letters are in no embedded font" in text


def test_right_to_left_words_are_drawn_from_right_to_left():
    assert visual_order("abc 12") == "abc 12"
    assert visual_order("No. שלום (7)") == "No. םולש (7)"
    assert visual_order("שלום 12 עולם") == "םלוע 12 םולש"
    # Beh at the beginning, in the middle and at the end of a word, each in its form (Unicode FE90-FE92).
    assert visual_order("ببب") == "\ufe90\ufe92\ufe91"
    # Dal does not reach out to the letter after it, so that one begins anew.
    assert visual_order("دب") == "\ufe8f\ufea9"


def test_a_font_of_the_laboratory_helps_out(tmp_path):
    import matplotlib
    from reportlab.pdfbase.ttfonts import TTFont

    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    known = TTFont("known", str(fonts / "DejaVuSans.ttf")).face.charToGlyph
    stix = TTFont("stix", str(fonts / "STIXGeneral.ttf")).face.charToGlyph
    lacking = chr(min(code for code in stix if code not in known and 0x2000 < code < 0xE000))
    assert f"{lacking} 7" not in text_of(replace(CERTIFICATE, specimen=f"{lacking} 7"))
    house = Letterhead("House", fonts=(fonts / "STIXGeneral.ttf",))
    helped = text_of(replace(CERTIFICATE, specimen=f"{lacking} 7", letterhead=house))
    assert f"{lacking} 7" in helped
    assert "in no embedded font" not in helped
    (tmp_path / "no.ttf").write_bytes(b"no font")
    with pytest.raises(InputError, match="no font"):
        Lettering([tmp_path / "no.ttf"])


def test_a_picture_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match=r"broken\.png"):
        write_certificate(replace(CERTIFICATE, images=(image(1, picture=tmp_path / "broken.png"),)), tmp_path / "c.pdf")
    assert not (tmp_path / "c.pdf").exists()


def test_images_of_one_name_keep_a_hash_each():
    text = text_of(replace(CERTIFICATE, images=(image(1, name="a.tif"), image(2, name="a.tif"))))
    assert sha("1") in text
    assert sha("2") in text


def test_a_long_picture_is_not_distorted():
    """A stripe of a web is printed as long and thin as it is."""
    stripe = np.full((64, 4096), 128, np.uint8)
    page = rendered(replace(CERTIFICATE, images=(image(1, picture=stripe, pixel_size_um=None),)), 3.0)
    grey = abs(page.astype(int) - 128) <= 1
    rows, columns = np.flatnonzero(grey.sum(1) > 900), np.flatnonzero(grey.sum(0) > 8)
    assert columns.size / rows.size == pytest.approx(64, rel=0.15)  # two of its 24 rows lie under the frame
