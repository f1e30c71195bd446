"""``study new``: images of a corpus become a blind round robin, with a form for every rater.

What leaves the organiser's hands is ``hand-out/``: pictures under blind codes with nothing but a micron bar, forms, and
a page of instructions. Labels, predictions and file names stay in ``design.json``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from sorby.backbone.runtime import Device
from sorby.classify import Classifier, Verdict
from sorby.corpus import Corpus
from sorby.errors import InputError, Quarantined, SorbyError
from sorby.files import sha256_file, staged_directory, write_json, write_text
from sorby.micrograph import Micrograph, read, to_uint8
from sorby.micrograph.info_bar import find_info_bar
from sorby.micrograph.info_bar.cropping import crop_info_bar
from sorby.progress import bar
from sorby.report.micron_bar import with_micron_bar
from sorby.study import (
    CANNOT_RATE,
    FREQUENCIES,
    PROFILE_COLUMNS,
    Design,
    Item,
    Scheme,
    draw_sample,
    dump_scheme,
    form_rows,
    plan,
    proportional_quotas,
    read_scheme,
    write_form,
)
from sorby.study.sampling import DIFFICULT_SHARE
from sorby.workflow.data import open_data
from sorby.workflow.opening import open_classifier

HAND_OUT = "hand-out"
PICTURES = "pictures"
_RATER = re.compile(r"[^\s/\\:*?\"<>|,;.][^/\\:*?\"<>|,;\x00-\x1f]{0,59}")


def new_study(
    data: Path | str | Corpus,
    out: Path | str,
    *,
    scheme: str | Path | Scheme = "steel",
    bundle: Path | str | None = None,
    n: int = 20,
    quotas: Mapping[str, int] | None = None,
    repeats: int = 4,
    raters: int | Sequence[str] = 14,
    difficult_share: float = DIFFICULT_SHARE,
    part: str = "test",
    seed: int = 0,
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
    require_signed: bool = False,
    device: Device = "auto",
) -> dict[str, Any]:
    """Design a round robin and write everything that is handed out.

    Parameters
    ----------
    data : Corpus or path
        As for training; the corpus of a run holds the split that its bundle was tested on.
    out : path
        Folder of the study.
    scheme : str, path or Scheme
        What raters are asked.
    bundle : path, optional
        A classifier. Its errors make images difficult, and it becomes an appraiser on the same pictures.
    n : int
        Images, shared out over the classes as frequent as they are; *quotas* say it class by class instead.
    quotas : mapping of str to int, optional
    repeats : int
        Images shown twice.
    raters : int or sequence of str
    difficult_share : float
        Share of the images that the classifier gets wrong.
    part : str
        Part of the stored split that images are drawn from; ``all`` for every image.
    seed : int
    label, group, image
        Columns of a table.
    require_signed : bool
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    dict
        ``study``, ``design``, ``design_sha256``, ``hand_out``, ``items``, ``showings``, ``raters``, ``classes`` (images
        each), ``difficult``, ``balance``, ``model``, ``warnings``, ``quarantined``.

    Raises
    ------
    InputError
        No image with a label of the scheme, too few of a class, or the folder exists.
    """
    asked = scheme if isinstance(scheme, Scheme) else read_scheme(scheme)
    names = _rater_names(raters)
    opened = open_data(data, label=label, group=group, image=image)
    warnings = list(opened.warnings)
    pool = _pool(opened.corpus.usable(), asked, part, warnings)
    model = None if bundle is None else _Model.open(bundle, require_signed=require_signed, device=device)
    quarantined = list(opened.quarantined)
    predicted = np.full(len(pool), "", dtype=object) if model is None else model.said(pool, warnings, quarantined)
    seen = np.array([text is not None for text in predicted])
    pool, predicted = pool.take(seen), predicted[seen]
    labels = [str(text) for text in pool.labels]
    classes = [str(asked.class_of(text)) for text in labels]
    wrong = None if model is None else np.array([asked.merge(a) != asked.merge(b)
                                                 for a, b in zip(predicted, labels, strict=True)])  # fmt: skip
    sample = draw_sample(
        labels, classes, dict(quotas) if quotas is not None else proportional_quotas(classes, n),
        wrong=wrong, difficult_share=difficult_share, seed=seed,
        specimens=None if pool.groups is None else [str(name) for name in pool.groups],
    )  # fmt: skip
    warnings += sample.warnings
    chosen = pool.take(sample.rows)
    items = _items(chosen, [classes[k] for k in sample.rows], predicted[sample.rows], wrong, sample.rows)
    out = Path(out)
    with staged_directory(out) as folder:
        sizes = _write_pictures(chosen, items, folder / PICTURES, warnings)
        items = [Item(**{**vars(item), "pixel_size_um": size, "copy_sha256": sha256_file(_picture(folder, item.name))})
                 for item, size in zip(items, sizes, strict=True)]  # fmt: skip
        facts = {
            "part": part,
            "images_to_choose_from": len(pool),
            "classes": {name: sum(item.class_name == name for item in items) for name in asked.class_names},
            "difficult": sample.difficult,
            "model": None if model is None else {"bundle_sha256": model.sha256, "name": model.name},
        }
        design = plan(
            out.name, asked, items, names, repeats=repeats, seed=seed, facts=facts, warnings=warnings,
            created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )  # fmt: skip
        design.save(folder / "design.json")
        if model is not None:
            rated = {item.name: _picture(folder, item.name) for item in items}
            write_json(folder / "model.json", model.rates(rated, {item.name: item.pixel_size_um for item in items}))
        write_hand_out(design, folder)
    return {
        "study": str(out),
        "design": str(out / "design.json"),
        "design_sha256": design.digest,
        "hand_out": str(out / HAND_OUT),
        "items": len(items),
        "showings": len(design.showings),
        "raters": list(names),
        "classes": facts["classes"],
        "difficult": sample.difficult,
        "balance": design.facts["balance"],
        "model": facts["model"],
        "warnings": warnings,
        "quarantined": [entry.as_dict() for entry in quarantined],
    }


# -- images to choose from --------------------------------------------------------------------------------


def _pool(corpus: Corpus, scheme: Scheme, part: str, warnings: list[str]) -> Corpus:
    """Return the images of a part whose label the scheme knows."""
    table = corpus.table
    stored = table["split"] if "split" in table else pd.Series(dtype=object)
    if part != "all":
        if not stored.notna().any():
            warnings.append("no split is stored: images may be ones that the classifier was taught on")
        elif not (inside := (stored == part).to_numpy()).any():
            parts = ", ".join(sorted(str(name) for name in stored.dropna().unique()))
            raise InputError(f"no image lies in part {part}", f"parts: {parts}, all")
        else:
            corpus = corpus.take(inside)
    known = np.array([scheme.class_of(str(text)) is not None for text in corpus.labels], dtype=bool)
    if not known.any():
        found = ", ".join(corpus.classes[:6])
        raise InputError(f"no label is a code of scheme {scheme.name}: {found}", "choose another --scheme or --label")
    if strange := int((~known).sum()):
        warnings.append(f"{strange} images have a label that is no code of scheme {scheme.name}; they are left out")
    return corpus.take(known)


def _items(
    chosen: Corpus, classes: Sequence[str], predicted: Any, wrong: Any, rows: np.ndarray[Any, Any]
) -> list[Item]:
    groups = chosen.groups
    return [
        Item(
            name=f"I{k + 1:0{len(str(len(rows)))}d}",
            sha256=str(chosen.table["sha256"].iloc[k]),
            path=str(chosen.table["path"].iloc[k]),
            label=str(chosen.labels[k]),
            class_name=classes[k],
            specimen="" if groups is None else str(groups[k]),
            predicted=str(predicted[k]),
            difficult=None if wrong is None else bool(wrong[rows[k]]),
        )
        for k in range(len(rows))
    ]


@dataclass
class _Model:
    """The classifier that helps to choose and then takes part."""

    classifier: Classifier
    sha256: str
    name: str
    device: Device

    @classmethod
    def open(cls, bundle: Path | str, *, require_signed: bool, device: Device) -> _Model:
        classifier, opened = open_classifier(bundle, require_signed=require_signed)
        return cls(classifier, opened.sha256, Path(bundle).name, device)

    def said(self, pool: Corpus, warnings: list[str], quarantined: list[Quarantined]) -> Any:
        """Return the label it gives each image as it lies in the corpus, None where it cannot be read."""
        found = np.full(len(pool), None, dtype=object)
        with bar("difficult or not", len(pool)) as advance:
            sizes = _stated_sizes(pool)
            outcomes = self.classifier.inspect(pool.paths(), device=self.device, pixel_size_um=sizes, progress=advance)
            for k, outcome in enumerate(outcomes):
                if isinstance(outcome, Quarantined):
                    quarantined.append(outcome)
                else:
                    found[k] = outcome.label
        return found

    def rates(self, pictures: Mapping[str, Path], sizes: Mapping[str, float | None]) -> dict[str, Any]:
        """Return its ratings of the pictures that people see, without the strip of the micron bar."""
        names = list(pictures)
        outcomes = self.classifier.inspect(
            [pictures[name] for name in names], device=self.device, pixel_size_um=[sizes[name] for name in names]
        )
        verdicts = {name: outcome.label for name, outcome in zip(names, outcomes, strict=True)
                    if isinstance(outcome, Verdict)}  # fmt: skip
        return {"name": self.name, "bundle_sha256": self.sha256, "verdicts": verdicts}


def model_ratings(
    design: Design, study: Path, bundle: Path | str, *, require_signed: bool = False, device: Device = "auto"
) -> dict[str, Any]:
    """Let a classifier rate the pictures of a study.

    Returns
    -------
    dict
        ``name``, ``bundle_sha256``, ``verdicts`` (item to label).
    """
    model = _Model.open(bundle, require_signed=require_signed, device=device)
    pictures = {item.name: _picture(study, item.name) for item in design.items}
    if missing := [name for name, path in pictures.items() if not path.is_file()]:
        raise InputError(f"{study / PICTURES}: {missing[0]}.png is missing", "the model rates the pictures people saw")
    return model.rates(pictures, {item.name: item.pixel_size_um for item in design.items})


def _stated_sizes(pool: Corpus) -> list[float | None] | None:
    if "pixel_size_um" not in pool.table:
        return None
    return [None if pd.isna(value) else float(value) for value in pool.table["pixel_size_um"]]


# -- pictures and forms -----------------------------------------------------------------------------------


def _picture(study: Path, item: str) -> Path:
    return study / PICTURES / f"{item}.png"


def _write_pictures(chosen: Corpus, items: Sequence[Item], folder: Path, warnings: list[str]) -> list[float | None]:
    """Write every image without its info bar, tags or name; return the pixel sizes."""
    folder.mkdir(parents=True)
    sizes: list[float | None] = []
    stated = _stated_sizes(chosen) or [None] * len(chosen)
    bars = 0
    with bar("blind copies", len(items)) as advance:
        for path, item, size in zip(chosen.paths(), items, stated, strict=True):
            try:
                micrograph: Micrograph = read(path, pixel_size_um=size)
            except SorbyError as error:  # it was readable a moment ago: say which one
                raise InputError(f"{path}: cannot be copied ({error.message})", "build the corpus again") from error
            pixels = to_uint8(micrograph.pixels)
            found = find_info_bar(pixels)
            bars += found is not None
            Image.fromarray(np.ascontiguousarray(crop_info_bar(pixels, found))).save(folder / f"{item.name}.png")
            sizes.append(micrograph.scale.pixel_size_um)
            advance(1)
    if bars:
        warnings.append(f"info bars were cut off {bars} images: they tell more than the size")
    if unscaled := sum(size is None for size in sizes):
        warnings.append(f"{unscaled} images state no pixel size and have no micron bar")
    return sizes


def write_hand_out(design: Design, study: Path) -> None:
    """Write what raters get: pictures under blind codes, a form each, instructions; and the table of raters.

    Parameters
    ----------
    design : Design
    study : Path
        Folder with ``pictures``.
    """
    images = study / HAND_OUT / "images"
    images.mkdir(parents=True)
    sizes = {item.name: item.pixel_size_um for item in design.items}
    for showing in design.showings:
        with Image.open(_picture(study, showing.item)) as picture:
            pixels = np.asarray(picture)
        Image.fromarray(with_micron_bar(pixels, sizes[showing.item])).save(images / f"{showing.code}.png")
    for rater in design.raters:
        write_form(study / HAND_OUT / "forms" / f"{rater}.csv", form_rows(design, rater))
    write_text(study / HAND_OUT / "instructions.txt", instructions(design.scheme))
    write_text(study / "scheme.yaml", dump_scheme(design.scheme))
    write_form(study / "raters.csv", [{"rater": rater} for rater in design.raters], PROFILE_COLUMNS)


def instructions(scheme: Scheme) -> str:
    """Return what a rater must know, as plain text."""
    lines = [scheme.title or scheme.name, "=" * len(scheme.title or scheme.name), "", scheme.question, ""]
    lines += ["Rate the images in the order of your form, each by itself. Do not go back, and ask nobody.", ""]
    lines.append("class, then code from the range of the class you chose:")
    for each in scheme.classes:
        codes = ", ".join(each.codes) if each.codes else each.name
        lines.append(f"  {each.name:<10} {each.words}{f' ({each.hint})' if each.hint else ''}: {codes}")
    for what, choices in (("criterion", scheme.criteria), ("region", scheme.regions), ("flags", scheme.flags)):
        if choices:
            lines += ["", f"{what}:", *(f"  {each.name:<14} {each.words}" for each in choices)]
    if any(each.name == CANNOT_RATE for each in scheme.flags):
        lines += ["", f"Write {CANNOT_RATE} into flags, and no class, where an image cannot be rated."]
    lines += ["", "Leave a line empty if you did not rate the image.",
              f"The organiser notes in raters.csv how often you do this: {', '.join(FREQUENCIES)}.", ""]  # fmt: skip
    return "\n".join(lines)


def _rater_names(raters: int | Sequence[str]) -> tuple[str, ...]:
    if isinstance(raters, int):
        if not 1 <= raters <= 500:
            raise InputError(f"{raters} raters", "give 1 to 500, or their names")
        return tuple(f"R{k:0{max(2, len(str(raters)))}d}" for k in range(1, raters + 1))
    names = tuple(name.strip() for name in raters)
    for name in names:
        if not _RATER.fullmatch(name):
            raise InputError(f"rater {name!r}: a form cannot be named so", "letters, digits, blanks and hyphens")
    return names
