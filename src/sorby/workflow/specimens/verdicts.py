"""``inspect --by-specimen``: one verdict a specimen beside those on its images."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.bundle import open_bundle
from sorby.classify import Classifier
from sorby.classify.flags import specimen_flags
from sorby.classify.specimens import Bags, carried, leave_one_out_change, pooled, vote_of_sets
from sorby.classify.specimens.judge import SpecimenJudge
from sorby.classify.specimens.model import set_reasons
from sorby.errors import BundleError, InputError
from sorby.files import atomic_write
from sorby.workflow.specimens.seeing import Seen

FOLDER = "folder"
COLUMNS = ("specimen", "label", "confidence", "set", "referred", "reason", "n_images", "images_that_carried")
_RULE = "mean-probability"


@dataclass(frozen=True, eq=False)
class Specimens:
    """Which specimen each image belongs to, and what a table states of its magnification.

    Attributes
    ----------
    of : dict of Path to str, or None
        None: the folder an image lies in is its specimen.
    magnifications : dict of Path to float
    """

    of: dict[Path, str] | None
    magnifications: dict[Path, float]

    @classmethod
    def open(cls, by: Path | str) -> Specimens:
        """Read who belongs together.

        Parameters
        ----------
        by : path or ``folder``
            ``folder``, or a table (CSV) with columns ``image`` (or ``path``), ``specimen`` and maybe ``magnification``;
            paths relative to the table.

        Raises
        ------
        InputError
            The table cannot be read, or lacks a column.
        """
        if str(by) == FOLDER:
            return cls(None, {})
        path = Path(by)
        try:
            table = pd.read_csv(path, dtype={"specimen": str})
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path}: no table of specimens ({str(error).splitlines()[0]})",
                "give 'folder', or a CSV with columns image and specimen",
            ) from error
        name = "image" if "image" in table else "path"
        if not {name, "specimen"} <= set(table):
            raise InputError(f"{path}: columns image and specimen are needed", f"it has {', '.join(map(str, table))}")
        rows = table.dropna(subset=[name, "specimen"])
        files = [(path.parent / str(file)).resolve() for file in rows[name]]
        of = dict(zip(files, rows["specimen"].astype(str), strict=True))
        for file, specimen in zip(files, rows["specimen"].astype(str), strict=True):
            if of[file] != specimen:
                raise InputError(f"{path}: {file.name} belongs to two specimens", f"keep {specimen} or {of[file]}")
        known = {}
        if "magnification" in rows:
            values = pd.to_numeric(rows["magnification"], errors="coerce")
            known = {file: float(value) for file, value in zip(files, values, strict=True) if value > 0}
        return cls(of, known)

    def names(self, images: Sequence[Path]) -> list[str]:
        """Return the specimen of each image.

        Raises
        ------
        InputError
            The table does not name an image.
        """
        if self.of is None:
            return [image.parent.as_posix() for image in images]
        missing = [image for image in images if image.resolve() not in self.of]
        if missing:
            raise InputError(
                f"{missing[0]}: the table names no specimen for it ({len(missing)} such images)",
                "add it, or leave the image out",
            )
        return [self.of[image.resolve()] for image in images]

    def magnification_of(self, files: Sequence[Path]) -> dict[Path, float]:
        """Return what the table states, by the paths as given."""
        return {file: self.magnifications[file.resolve()] for file in files if file.resolve() in self.magnifications}


def open_judge(path: Path | str, classifier_sha256: str, *, require_signed: bool = False) -> SpecimenJudge:
    """Open a specimen judge that belongs to a classifier.

    Raises
    ------
    BundleError
        It is damaged, of another kind, or was taught on the features of another classifier.
    """
    judge = SpecimenJudge.from_bundle(open_bundle(path, require_signed=require_signed))
    if judge.classifier_sha256 != classifier_sha256:
        raise BundleError(
            f"{path}: was taught on the features of another classifier ({judge.classifier_sha256[:12]})",
            "teach it again on this bundle with sorby specimens",
        )
    return judge


@dataclass(frozen=True, eq=False)
class _Decided:
    probabilities: npt.NDArray[np.float64]
    sets: npt.NDArray[np.bool_]
    carried: npt.NDArray[np.bool_]
    reasons: list[tuple[str, ...]]


def judge_specimens(
    classifier: Classifier, judge: SpecimenJudge | None, seen: Seen, specimens: Specimens, out: Path
) -> dict[str, Any]:
    """Write ``specimens.csv``: one verdict a specimen.

    Without a judge the images' probabilities are averaged and their conformal sets voted on: a class stays that more
    than half of the images' sets hold, which misses the truth at most twice as often as each image's set.

    Parameters
    ----------
    classifier : Classifier
    judge : SpecimenJudge or None
    seen : Seen
    specimens : Specimens
    out : Path
        Folder.

    Returns
    -------
    dict
        ``specimens`` (the CSV), ``n``, ``referred``, ``labels``, ``reasons``, ``method``, ``guarantee``,
        ``rare_class``, ``referred_specimens`` (of each: ``specimen``, ``label``, ``reasons``), ``warnings``.
    """
    names = np.array(specimens.names([verdict.image for verdict in seen.verdicts]), object)
    unique, index = np.unique(names.astype(str), return_inverse=True)
    index = index.astype(np.intp)
    decided = _by_rule(classifier, seen, index, len(unique)) if judge is None else _by_judge(judge, seen, index)
    rows = [
        [
            str(name),
            classifier.classes[int(decided.probabilities[g].argmax())],
            f"{decided.probabilities[g].max():.4f}",
            "|".join(c for c, inside in zip(classifier.classes, decided.sets[g], strict=True) if inside),
            "true" if decided.reasons[g] else "false",
            "|".join(decided.reasons[g]),
            str(int((index == g).sum())),
            "|".join(seen.verdicts[k].image.name for k in np.flatnonzero((index == g) & decided.carried)),
            *(f"{value:.4f}" for value in decided.probabilities[g]),
        ]
        for g, name in enumerate(unique)
    ]
    target = out / "specimens.csv"
    _write(target, [*COLUMNS, *(f"p_{name}" for name in classifier.classes)], rows)
    conformal = classifier.judge.conformal
    return {
        "specimens": str(target),
        "n": len(rows),
        "referred": sum(row[4] == "true" for row in rows),
        "labels": dict(Counter(row[1] for row in rows).most_common()),
        "reasons": dict(Counter(code for codes in decided.reasons for code in codes).most_common()),
        "method": _RULE if judge is None else judge.model.method,
        "guarantee": judge.model.conformal.guarantee
        if judge is not None
        else f"majority vote of the images' sets: misses at most twice as often as one of them ({conformal.guarantee})",
        "rare_class": {} if judge is None else dict(judge.rare),
        "referred_specimens": [
            {"specimen": row[0], "label": row[1], "reasons": list(codes)}
            for row, codes in zip(rows, decided.reasons, strict=True)
            if codes
        ],
        "warnings": [] if judge is None else _unchecked(judge, seen),
    }


def _unchecked(judge: SpecimenJudge, seen: Seen) -> list[str]:
    """Say for how many images a flag could not be decided."""
    unknown = int(np.isnan(seen.magnification).sum())
    if not judge.rules.expert_classes or not unknown:
        return []
    return [f"{unknown} images state no magnification: low-magnification-only is not given on their account"]


def _by_rule(classifier: Classifier, seen: Seen, index: npt.NDArray[np.intp], n: int) -> _Decided:
    """Pool the images' verdicts."""
    p_images = np.array([[verdict.probabilities[name] for name in classifier.classes] for verdict in seen.verdicts])
    image_sets = np.array([[name in verdict.labels for name in classifier.classes] for verdict in seen.verdicts], bool)
    bags = Bags(p_images.astype(np.float32), index, np.full(n, -1, np.intp))

    def probabilities(some: Bags) -> npt.NDArray[np.float64]:
        return pooled(some.features, some.index, some.n, _RULE)

    p = probabilities(bags)
    change = leave_one_out_change(bags, probabilities, p.argmax(axis=1))
    sets = vote_of_sets(image_sets, index, n)
    return _Decided(p, sets, carried(change, index, n), set_reasons(p, sets))


def _by_judge(judge: SpecimenJudge, seen: Seen, index: npt.NDArray[np.intp]) -> _Decided:
    """Ask the taught model, and add the flags."""
    bags = Bags(np.stack(seen.features), index, np.full(int(index.max()) + 1, -1, np.intp))
    found = judge.model.verdicts(bags)
    flags = specimen_flags(
        found.probabilities, judge.classes, judge.rules, index, seen.flags, found.carried, np.array(seen.magnification)
    )
    reasons = [(*own, *more) for own, more in zip(found.reasons, flags, strict=True)]
    return _Decided(found.probabilities, found.sets, found.carried, reasons)


def _write(target: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    with atomic_write(target) as file:
        file.write(text.getvalue().encode("utf-8", "backslashreplace"))
