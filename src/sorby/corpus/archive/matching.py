"""Images to reports: the FOAN exactly, else the nearest above a similarity, ties by serial number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from rapidfuzz.distance import OSA, Levenshtein
from rapidfuzz.process import cdist

from sorby.corpus.archive.evidence import Evidence, MatchKind, SerialEvidence, confidence
from sorby.corpus.archive.rules import ArchiveRules, MatchRules

_ROWS_AT_ONCE = 1024  # names in one block of the similarity matrix, so that memory stays bounded
_WORTH_SHOWING = 0.75  # similarity below which a candidate does not help a reviewer
_MOST_CANDIDATES = 3
_EQUAL = 1e-9
KINDS: tuple[MatchKind, ...] = ("exact", "fuzzy", "tie", "unmatched")
"""How an image may have come to its report."""

Similarity = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Near:
    """The FOANs of reports that are most like a name's."""

    similarity: float
    best: tuple[str, ...]
    shown: tuple[tuple[str, float], ...]
    runner_up: bool


def match_names(names: pd.DataFrame, components: pd.DataFrame, rules: ArchiveRules) -> pd.DataFrame:
    """Find the component that each image shows (S4, image-report matching).

    An exact FOAN is sought first; if there is none, the nearest FOAN by normalised edit similarity above
    ``match.similarity``; where several FOANs are equally near, the serial number decides. Within a FOAN of several
    components the serial number decides too, whole or as a part.

    Parameters
    ----------
    names : DataFrame
        ``foan``, ``serial``: normalised texts or None.
    components : DataFrame
        From `sorby.corpus.archive.components.components_of`; one row for each FOAN and serial number.
    rules : ArchiveRules

    Returns
    -------
    DataFrame
        Index of *names*: ``component`` (row position in *components*, -1 where unmatched), ``match`` (exact, fuzzy,
        tie, unmatched), ``match_similarity`` (NaN without a candidate), ``match_confidence``, ``reason``,
        ``candidates`` (the nearest, as text for a reviewer).
    """
    asked = pd.DataFrame({"foan": names["foan"].astype(object), "serial": names["serial"].astype(object)})
    asked = asked.where(asked.notna(), None)
    distinct = list(dict.fromkeys(zip(asked["foan"], asked["serial"], strict=True)))
    catalogue = _Catalogue(components, rules)
    near = catalogue.nearest([foan for foan in dict.fromkeys(foan for foan, _ in distinct) if foan is not None])
    decided = {key: catalogue.decide(key[0], key[1], near) for key in distinct}
    keys = list(zip(asked["foan"], asked["serial"], strict=True))
    return pd.DataFrame([decided[key] for key in keys], index=names.index, columns=list(_COLUMNS))


_COLUMNS = ("component", "match", "match_similarity", "match_confidence", "reason", "candidates")


class _Catalogue:
    """The components, found by FOAN."""

    def __init__(self, components: pd.DataFrame, rules: ArchiveRules) -> None:
        self._rules = rules
        self._foans = sorted(set(components["foan"]))
        self._rows: dict[str, list[int]] = {}
        for row, foan in enumerate(components["foan"]):
            self._rows.setdefault(foan, []).append(row)
        self._serial = list(components["serial"].astype(object).where(components["serial"].notna(), None))
        self._sure = list(components["read_confidence"].astype(float))
        self._whole = list(components["foan_whole"].astype(bool))
        self._specimen = list(components["specimen"])
        self._label = list(components["label"])

    def nearest(self, foans: Sequence[str]) -> dict[str, _Near]:
        """Compare the FOANs that no report has with all those of reports, block by block."""
        strange = [foan for foan in foans if foan not in self._rows]
        found: dict[str, _Near] = {}
        if not self._foans:
            return found
        for start in range(0, len(strange), _ROWS_AT_ONCE):
            block = strange[start : start + _ROWS_AT_ONCE]
            matrix = similarities(block, self._foans, self._rules.match)
            for foan, row in zip(block, matrix, strict=True):
                found[foan] = self._near(row)
        return found

    def _near(self, row: Similarity) -> _Near:
        order = np.argsort(-row, kind="stable")[:_MOST_CANDIDATES]
        best = float(row.max())
        equal = np.flatnonzero(row >= best - _EQUAL)
        length = max(map(len, self._foans))
        others = row[row < best - _EQUAL]
        return _Near(
            best,
            tuple(self._foans[place] for place in equal) if best > 0 else (),
            tuple((self._foans[place], float(row[place])) for place in order if row[place] > 0),
            bool(len(others) and others.max() >= best - 1.5 / length),
        )

    def decide(self, foan: str | None, serial: str | None, near: dict[str, _Near]) -> tuple[object, ...]:
        """Return the row of the result for one FOAN and serial number."""
        if foan is None:
            return self._without("the file name holds no FOAN", float("nan"), ())
        if foan in self._rows:
            return self._settle("exact", (foan,), foan, serial, 1.0, ((foan, 1.0),), False)
        close = near.get(foan)
        if close is None or not close.best:
            return self._without("no report has a FOAN like it", float("nan"), ())
        if close.similarity <= self._rules.match.similarity + _EQUAL:
            why = f"nearest FOAN is {close.similarity:.3f} similar, not above {self._rules.match.similarity:g}"
            return self._without(why, close.similarity, close.shown)
        kind: MatchKind = "fuzzy" if len(close.best) == 1 else "tie"
        shown = close.shown if kind == "fuzzy" else tuple((each, close.similarity) for each in close.best)
        return self._settle(kind, close.best, foan, serial, close.similarity, shown, close.runner_up)

    def _settle(
        self,
        kind: MatchKind,
        best: tuple[str, ...],
        foan: str,
        serial: str | None,
        similarity: float,
        shown: tuple[tuple[str, float], ...],
        runner_up: bool,
    ) -> tuple[object, ...]:
        """Choose among the components of the nearest FOANs."""
        rows = [row for each in best for row in self._rows[each]]
        chosen = self._by_serial(rows, serial)
        if chosen is None:
            among = f"{len(best)} FOANs equally near" if kind == "tie" else f"{len(rows)} components of this FOAN"
            why = "no serial number in the name" if serial is None else f"serial {serial} decides for none"
            return self._without(f"{among}, {why}", similarity, shown)
        relation = _relation(serial, self._serial[chosen], self._rules.match)
        evidence = Evidence(
            kind,
            relation,
            self._rules.foan.is_whole(foan),
            self._whole[chosen],
            self._rules.foan.check.method != "none",
            runner_up,
            self._sure[chosen],
        )
        reason = _why(kind, best, len(rows), relation, self._serial[chosen])
        return chosen, kind, similarity, confidence(evidence), reason, self._told(shown)

    def _by_serial(self, rows: Sequence[int], serial: str | None) -> int | None:
        """Return the only row whose serial number fits; the only one there is fits in any case."""
        if len(rows) == 1:
            return rows[0]
        for wanted in ("equal", "part"):
            fitting = [row for row in rows if _relation(serial, self._serial[row], self._rules.match) == wanted]
            if fitting:
                return fitting[0] if len(fitting) == 1 else None
        return None

    def _without(self, why: str, similarity: float, shown: tuple[tuple[str, float], ...]) -> tuple[object, ...]:
        return -1, "unmatched", similarity, 0.0, why, self._told(shown)

    def _told(self, shown: tuple[tuple[str, float], ...]) -> str:
        return "; ".join(
            f"{self._specimen[row]} {self._label[row] or 'in conflict'} {similarity:.3f}"
            for foan, similarity in shown
            for row in self._rows[foan]
        )


def similarities(names: Sequence[str], foans: Sequence[str], rules: MatchRules) -> Similarity:
    """Return 1 - edits / length of the longer text for every pair; 0 below 0.75.

    Parameters
    ----------
    names, foans : sequence of str
    rules : MatchRules
        ``metric`` says what is one edit.

    Returns
    -------
    ndarray of float64, shape (names, foans)
    """
    scorer = Levenshtein.normalized_similarity if rules.metric == "levenshtein" else OSA.normalized_similarity
    matrix: Similarity = cdist(names, foans, scorer=scorer, score_cutoff=_WORTH_SHOWING, dtype=np.float64)
    return matrix


def _relation(named: str | None, reported: str | None, rules: MatchRules) -> SerialEvidence:
    """Say how the serial number of a name stands to that of a report."""
    if named is None or reported is None:
        return "absent"
    if named == reported:
        return "equal"
    shorter, longer = sorted((named, reported), key=len)
    return "part" if len(shorter) >= rules.serial_least and shorter in longer else "contradicts"


def _why(kind: MatchKind, best: tuple[str, ...], rows: int, relation: SerialEvidence, reported: str | None) -> str:
    parts = {"exact": "same FOAN", "fuzzy": f"nearest FOAN {best[0]}", "tie": f"{len(best)} FOANs equally near"}[kind]
    if rows > 1:
        parts += f", serial decided among {rows} components"
    elif relation == "contradicts":
        parts += f", but the report's serial is {reported}"
    return parts


def counts(matches: pd.DataFrame) -> dict[str, int]:
    """Return how many images are exact, fuzzy, tie and unmatched."""
    found = matches["match"].value_counts()
    return {kind: int(found.get(kind, 0)) for kind in KINDS}
