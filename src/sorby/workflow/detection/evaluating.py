"""``detect evaluate``: a detector's findings against labelled images."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from sorby.backbone.runtime import Device
from sorby.corpus import Corpus
from sorby.errors import InputError
from sorby.files import write_json
from sorby.workflow.detection.judging import PageFacts, detect_all, judged, write_findings, write_page
from sorby.workflow.detection.labelled import labelled_images
from sorby.workflow.detection.opening import open_box_detector
from sorby.workflow.runs import refuse_unwritable

EVALUATION = "evaluation.json"


def evaluate_detector(
    bundle: Path | str,
    data: Path | str | Corpus,
    out: Path | str | None = None,
    *,
    seed: int = 0,
    require_signed: bool = False,
    device: Device = "auto",
    resamples: int = 1000,
) -> dict[str, Any]:
    """Score a detector bundle on labelled images.

    Parameters
    ----------
    bundle : path
    data : Corpus or path
        A corpus with boxes, a COCO file, or a VOC or YOLO folder.
    out : path, optional
        Folder for ``report.html``, ``findings.csv`` and ``evaluation.json``.
    seed : int
        Of the bootstrap; specimens are drawn whole.
    require_signed : bool
    device : {"auto", "cpu", "cuda"}
    resamples : int
        For the intervals.

    Returns
    -------
    dict
        ``ap``, ``ap50``, ``ap75``, ``ar`` (each ``value``, ``ci95``, ``n``, ``boxes``), ``per_class``, ``per_size``,
        ``merged_classes``, ``voc``, ``operating`` (at the detector's threshold), ``best_f1``, ``errors``,
        ``images_per_s``, ``report``, ``bundle_sha256``, ``signature``, ``warnings``, ``quarantined`` and more.

    Raises
    ------
    InputError
        There are no boxes, or none of a class that the detector knows.
    """
    target = None if out is None else Path(out)
    if target is not None:
        if (target / EVALUATION).exists():
            raise InputError(f"{target / EVALUATION}: exists", "choose another --out")
        refuse_unwritable(target)
    opened = open_box_detector(bundle, require_signed=require_signed)
    detector = opened.detector
    images = labelled_images(data, known=detector.classes, merge=detector.recipe.box.merge)
    warnings = list(images.warnings)
    detector.runner(device)
    started = time.perf_counter()
    rows, found, quarantined = detect_all(detector, images, device)
    seconds = time.perf_counter() - started
    if not rows:
        raise InputError(f"no image could be read ({quarantined[0].reason})", "check the files")
    images = images.take(rows)
    if taught := int(opened.was_taught(images.hashes).sum()):
        warnings.append(f"{taught} of {len(images)} images taught this detector: the figures are too good")
    if not images.named:
        warnings.append("specimens are unknown: intervals count every image as independent")
    result = judged(images, found, "test data", threshold=detector.threshold, seed=seed, resamples=resamples)
    quarantined = [*images.quarantined, *quarantined]
    speed = {"ms_per_image": 1000 * seconds / len(rows), "images_per_s": len(rows) / max(seconds, 1e-9)}
    done = {
        **result.scores.as_dict(),
        "threshold": detector.threshold,
        "errors": result.errors.as_dict(),
        **speed,
        "bundle_sha256": opened.sha256,
        "signature": opened.signature,
        "report": None,
        "warnings": warnings,
        "quarantined": [entry.as_dict() for entry in quarantined],
    }
    if target is not None:
        write_findings(target / "findings.csv", result)
        facts = [
            ("bundle", f"{Path(bundle).name}, SHA-256 {opened.sha256[:16]}"),
            ("signature", opened.signature),
            ("recipe", detector.recipe.name),
            ("threshold", f"{detector.threshold:.3f}"),
        ]
        row = {"method": detector.recipe.name, "runtime": "reading included", "device": device, "line": "", **speed}
        page = PageFacts(
            f"Box detector: {opened.description.name}",
            f"{len(images)} images of {data if not isinstance(data, Corpus) else 'a corpus'}",
            facts,
            limits=list(opened.description.limits),
            warnings=warnings,
            quarantined=quarantined,
            speed={"rows": [row]},
        )
        done["report"] = write_page(target / "report.html", result, page)
        write_json(target / EVALUATION, done)
    return done
