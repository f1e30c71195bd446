"""A certificate for a specimen, from Python: the page, and the tables beside it."""

from pathlib import Path

import pandas as pd

from sorby.record import read_anchors
from sorby.report.certificate import Certificate, CertificateImage, Conclusion, Letterhead, Measurement, Review
from sorby.report.certificate_tables import write_certificates

table = pd.read_parquet("specimen/corpus.parquet")
images = [
    CertificateImage(Path("specimen") / path, Path(path).name, digest, size, "user", label="G8")
    for path, digest, size in table[["path", "sha256", "pixel_size_um"]].head(2).itertuples(index=False)
]
certificate = Certificate(
    number="2026-0412",
    issued_at="2026-03-02T09:41:07Z",
    specimen="A-07",
    conclusion=Conclusion(
        "G9-10",
        confidence=0.962,
        labels=("G9-10", "G8"),
        guarantee="in 90 % of images like the calibration images the set holds the label",
        novelty=0.43,
        reasons=("the conformal set holds more than one class",),
        decision="G8",
        question="Microstructure and needle-length grade",
    ),
    letterhead=Letterhead("Your laboratory", ("Its street, its town",)),
    particulars={"Material": "100Cr6", "Order": "88213, position 4", "Condition": "hardened and tempered"},
    measurements=(Measurement("Mean needle length", 4.83, "µm", (4.12, 5.61), "house scale, referenced to ISO 643"),),
    images=tuple(images),
    reviews=(
        Review("Revi Krüger", "reviewer", "reviewed", "2026-03-02T09:31:02Z", 3, "needles agree with plate 8"),
        Review("Sue Hill", "supervisor", "approved", "2026-03-02T09:40:55Z", 4),
    ),
    record=read_anchors("anchors.jsonl").anchors[-1],
)
issued = write_certificates([certificate], "certificates")
for number, digest in issued.files.items():
    print(f"{number}  {digest[:16]}")
print("\n".join(issued.tables))
