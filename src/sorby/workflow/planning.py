"""Look at the data first, write every decision down, then follow the plan."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.backbone import Preprocessing
from sorby.classify.heads import CRITERIA, LENGTH_COLUMNS, Targets, structure_of
from sorby.classify.recipe import FinetuneSection, HeadSection, Recipe
from sorby.corpus import Corpus
from sorby.corpus.ancestry import ancestors_of, families, synthetic_rows
from sorby.corpus.schema import COLUMNS
from sorby.errors import InputError
from sorby.micrograph import mean_size, mode_size

Codes = npt.NDArray[np.intp]

_NAMED = 3  # columns that are named as perhaps holding specimens
_FEWEST, _MOST_EACH = 5, 50  # values of such a column, and images of one value


@dataclass(frozen=True, eq=False)
class Plan:
    """What a recipe means for one corpus.

    Attributes
    ----------
    corpus : Corpus
        The rows that take part: labelled and not excluded.
    classes : tuple of str
    labels : ndarray of int, shape (n,)
        Class of each row.
    groups : ndarray or None
        Specimen of each row; None where images are split singly.
    preprocessing : Preprocessing
    targets : Targets
        The labels, with the lengths and criteria that the recipe's head learns.
    parts : tuple of (str, str), optional
        Subtype and size of each class, where the corpus states them.
    lengths : tuple of str
        Names of the targets' lengths.
    synthetic : ndarray of bool, shape (n,)
        Generated images, which teach and never judge.
    families : ndarray of int, shape (n,)
        What stays in one part where there are generated images: `groups`, joined by common ancestors.
    decisions : list of str
        One sentence for each thing decided from the data.
    warnings : list of str
        What the reader of the result must know.
    """

    corpus: Corpus
    classes: tuple[str, ...]
    labels: Codes
    groups: npt.NDArray[Any] | None
    preprocessing: Preprocessing
    targets: Targets
    parts: tuple[tuple[str, str], ...] | None = None
    lengths: tuple[str, ...] = ()
    synthetic: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    families: Codes = field(default_factory=lambda: np.zeros(0, np.intp))
    decisions: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def grouped(self) -> bool:
        """Whether specimens are kept whole."""
        return self.groups is not None

    @property
    def names(self) -> npt.NDArray[np.str_]:
        """Class of each row by name, for splits, whose warnings name classes."""
        return np.array(self.classes)[self.labels]

    @property
    def specimens(self) -> npt.NDArray[Any] | None:
        """Specimen of each row where the corpus names them, also where a split by image was asked for.

        Intervals resample specimens however the images were split.
        """
        return self.corpus.groups


def make_plan(corpus: Corpus, recipe: Recipe, preprocessing: Preprocessing | None = None) -> Plan:
    """Resolve everything that a recipe leaves to the data.

    Parameters
    ----------
    corpus : Corpus
    recipe : Recipe
    preprocessing : Preprocessing, optional
        What the images were prepared by already; decided from the corpus where absent.

    Raises
    ------
    InputError
        Fewer than two classes, a class with a single image or with ``|`` in its name, or specimens asked for and
        not named.
    """
    decisions: list[str] = []
    usable = _of_known_magnification(_taught_labels(corpus.usable(), recipe, decisions), recipe, decisions)
    classes = tuple(usable.classes)
    if len(classes) < 2:
        named = f"only {classes[0]!r}" if classes else "none"
        lost = recipe.labels.merge or recipe.labels.min_count > 1
        raise InputError(
            f"a classifier needs at least two classes, {named} found",
            "see labels.merge and labels.min_count" if lost else "one folder a class, or --label COLUMN",
        )
    piped = [name for name in classes if "|" in name]
    if piped:
        raise InputError(f"class {piped[0]!r} holds '|', which separates the classes of a set", "rename the class")
    labels = np.searchsorted(np.array(classes), usable.labels.astype(str)).astype(np.intp)
    made = synthetic_rows(usable)
    counts = Counter(usable.labels[~made])
    lonely = [name for name in classes if counts[name] < 2]
    if lonely:
        raise InputError(
            f"class {lonely[0]!r} has a single image and cannot be both learnt and tested",
            "add images of it or exclude the class",
        )
    warnings = _without_effect(recipe)
    groups = _groups(usable, recipe, decisions, warnings)
    family = _families(usable, made, groups)
    if recipe.balance.corrects_twice:
        warnings.append(
            f"balance corrects twice: loss {recipe.balance.loss} and sampling {recipe.balance.sampling} both favour"
            " rare classes; expect rare classes to be over-called"
        )
    if phantoms := _count_phantoms(usable):
        warnings.append(f"{phantoms} of {len(usable)} images are phantoms: the figures say nothing of real specimens")
    taught = Counter(usable.labels)
    imbalance = max(taught.values()) / min(taught.values())
    if imbalance >= 10 and recipe.balance.loss == recipe.balance.sampling == "plain":
        warnings.append(
            f"classes are unequal {imbalance:.0f}:1 and nothing corrects it; look at macro-F1, not accuracy"
        )
    targets, lengths = _targets(usable, labels, recipe)
    if lengths and (missing := int(np.isnan(targets.log_lengths).any(axis=1).sum())):
        decisions.append(f"needle lengths: {missing} of {len(labels)} images do not state all of {', '.join(lengths)}")
    return Plan(
        usable,
        classes,
        labels,
        groups,
        preprocessing or _preprocessing(usable, recipe, decisions),
        targets,
        _parts(usable),
        lengths,
        made,
        family,
        decisions,
        warnings,
    )


def _taught_labels(corpus: Corpus, recipe: Recipe, decisions: list[str]) -> Corpus:
    """Merge labels and leave scarce classes out, as the recipe asks."""
    section = recipe.labels
    if section.merge:
        merged = corpus.table["label"].astype(str).replace(section.merge)
        changed = int((merged != corpus.table["label"].astype(str)).sum())
        corpus = replace(corpus, table=corpus.table.assign(label=merged))
        named = ", ".join(f"{old} as {new}" for old, new in section.merge.items())
        decisions.append(f"labels merged: {named} ({changed} images)")
    counts = Counter(corpus.labels)
    scarce = {str(name): count for name, count in sorted(counts.items()) if count < section.min_count}
    if scarce:
        named = ", ".join(f"{name} ({count})" for name, count in scarce.items())
        decisions.append(f"classes with fewer than {section.min_count} images left out: {named}")
        corpus = corpus.take(~np.isin(corpus.labels.astype(str), list(scarce)))
    return corpus


_NAMED = 3  # images that an error names


def _of_known_magnification(corpus: Corpus, recipe: Recipe, decisions: list[str]) -> Corpus:
    """Leave out images without a magnification where the head reads it, or refuse them, as the recipe asks.

    Raises
    ------
    InputError
        Images without are named.
    """
    if recipe.head.magnification == "none":
        return corpus
    known = np.isfinite(magnifications(corpus))
    if known.all():
        return corpus
    if recipe.head.missing_magnification == "error" or not known.any():
        paths = corpus.table["path"].to_numpy()[~known]
        named = ", ".join(map(str, paths[:_NAMED])) + (" ..." if len(paths) > _NAMED else "")
        raise InputError(
            f"head.magnification={recipe.head.magnification}, but {len(paths)} of {len(known)} images state none:"
            f" {named}",
            "fill in column magnification, or --set head.missing_magnification=drop",
        )
    decisions.append(f"magnification: {int((~known).sum())} of {len(known)} images state none and are left out")
    return corpus.take(known)


def magnifications(corpus: Corpus) -> npt.NDArray[np.float64]:
    """Return the magnification that the corpus states for each image, NaN where unknown, shape (n,)."""
    if "magnification" not in corpus.table:
        return np.full(len(corpus.table), np.nan)
    stated = pd.to_numeric(corpus.table["magnification"], errors="coerce").to_numpy(np.float64)
    return np.where(stated > 0, stated, np.nan)


def _parts(corpus: Corpus) -> tuple[tuple[str, str], ...] | None:
    """Return subtype and size of each class from columns of their own, None where the codes themselves say them."""
    with suppress(InputError):
        structure_of(corpus.classes)
        return None
    if not {"subtype", "size_class"} <= set(corpus.table):
        return None
    stated = corpus.table[["label", "subtype", "size_class"]]
    if stated.isna().any(axis=None):
        return None  # columns with gaps state no parts
    pairs = stated.astype(str).drop_duplicates()
    if pairs["label"].duplicated().any() or pairs.duplicated(["subtype", "size_class"]).any():
        return None  # the label is another column, for instance the subtype alone
    named = {label: (subtype, size) for label, subtype, size in pairs.to_numpy(str)}
    return tuple(named[name] for name in corpus.classes)


def _targets(corpus: Corpus, labels: Codes, recipe: Recipe) -> tuple[Targets, tuple[str, ...]]:
    """Return what the head is taught, and which lengths; they are looked up only where the recipe uses them."""
    if recipe.head.kind != "length" and recipe.head.auxiliary != "length":
        return Targets.plain(labels), ()
    names = tuple(name for name, column in LENGTH_COLUMNS.items() if column in corpus.table)
    lengths = [
        pd.to_numeric(corpus.table[LENGTH_COLUMNS[name]], errors="coerce").to_numpy(np.float64) for name in names
    ]
    stacked = np.stack(lengths, axis=1) if lengths else np.empty((len(labels), 0))
    known = np.where(stacked > 0, stacked, np.nan)
    criterion = np.full(len(labels), -1, np.intp)
    if "criterion" in corpus.table:
        for k, name in enumerate(CRITERIA):
            criterion[(corpus.table["criterion"] == name).to_numpy(bool)] = k
    return Targets(labels, np.log(known), criterion), names


#: Settings of the head that mean something for a fine-tuned network.
_FINETUNED_HEAD = ("kind", "routing", "sharing", "auxiliary", "length_weight", "distance_cost", "table", "output")


def _without_effect(recipe: Recipe) -> list[str]:
    """Name the settings that a recipe makes and its regime does not use."""
    if recipe.regime == "frozen":
        idle = [
            *(["augment"] if recipe.augment not in (Recipe().augment, "none") else []),
            *(["finetune"] if recipe.finetune != FinetuneSection() else []),
        ]
    else:
        used = recipe.head.model_dump(include=set(_FINETUNED_HEAD))
        idle = ["head"] if recipe.head != HeadSection(**used) else []
    return [f"{name} is set, but regime {recipe.regime} does not use it" for name in idle]


def _count_phantoms(corpus: Corpus) -> int:
    """Count the rows marked as rendered; a table read from CSV holds the mark as text."""
    if "phantom" not in corpus.table:
        return 0
    return int(corpus.table["phantom"].astype(str).str.lower().isin(("true", "1")).sum())


def _groups(corpus: Corpus, recipe: Recipe, decisions: list[str], warnings: list[str]) -> npt.NDArray[Any] | None:
    wanted = recipe.split.group
    groups = corpus.groups
    if wanted == "specimen" and groups is None:
        raise InputError("split.group=specimen, but the corpus names no specimens", "build it with --group COLUMN")
    if groups is None:
        warnings.append(
            "specimens are unknown: where several images show one, it stands on both sides of a split, and the figures"
            f" are too good for new ones{_unused(corpus)}"
        )
        return None
    if wanted == "none":
        warnings.append("split by image though specimens are known: scores are too good where specimens repeat")
        return None
    decisions.append(f"specimens kept whole: {len(np.unique(groups))} for {len(groups)} images")
    return groups


def _families(corpus: Corpus, made: npt.NDArray[np.bool_], groups: npt.NDArray[Any] | None) -> Codes:
    """Return what stays in one part; refuse generated images that leave nothing to judge by, or of unknown origin."""
    if not made.any():
        return np.arange(len(corpus), dtype=np.intp)
    orphans = sum(not names for names, synthetic in zip(ancestors_of(corpus), made, strict=True) if synthetic)
    if orphans:
        raise InputError(
            f"{orphans} generated images name no ancestors: they may show the specimens that judge",
            "build the corpus with --synthetic FOLDER, or fill in column ancestors",
        )
    family = families(corpus, groups)
    if len(np.unique(family[~made])) < 2:
        raise InputError(
            f"the {int(made.sum())} generated images descend from all specimens, so none is left to judge by",
            "sorby corpus split DATA, then sorby synthesize train DATA --split train",
        )
    return family


def _unused(corpus: Corpus) -> str:
    """Name columns of the corpus that might say which images belong together: names that repeat, the finest first."""
    found: dict[str, int] = {}
    for name in corpus.table.columns.difference([*COLUMNS, "label"]):
        values = corpus.table[name].dropna()
        numbers = pd.to_numeric(values, errors="coerce")
        if numbers.notna().any() and not (numbers.dropna() % 1 == 0).all():
            continue  # a measured quantity
        if max(_FEWEST, len(values) / _MOST_EACH) <= values.nunique() <= len(values) / 2:
            found[str(name)] = values.nunique()
    if not found:
        return ""
    finest = sorted(found, key=lambda name: -found[name])[:_NAMED]
    return f"; --group COLUMN names them, perhaps one of: {', '.join(finest)}"


def _preprocessing(corpus: Corpus, recipe: Recipe, decisions: list[str]) -> Preprocessing:
    section = recipe.image
    colour = section.colour
    if colour == "auto":
        grey = corpus.all_grey
        colour = "grey" if grey else "rgb"
        decisions.append(f"colour {colour}: " + ("every image is grey" if grey else "some images are in colour"))
    height, width = section.height, section.width
    sizing = "resize" if section.sizing == "mean" else "mirror" if section.sizing == "mode" else section.sizing
    if section.sizing in ("mode", "mean"):
        sizes = list(zip(corpus.table["height"].astype(int), corpus.table["width"].astype(int), strict=True))
        height, width = mode_size(sizes) if section.sizing == "mode" else mean_size(sizes)
        decisions.append(f"size {height} x {width} px: the {section.sizing} of the corpus")
    if section.region == "auto":
        decisions.append("region auto: images cropped to the specimen's surface, by region file or by proposal")
    if section.info_bar != "keep":
        how = (
            "where it is found" if section.info_bar == "found" else "as 9 % of the height, whether there is one or not"
        )
        decisions.append(f"info bar taken off {how}")
    return Preprocessing(
        height=height,
        width=width,
        colour=colour,
        sizing=sizing,
        intensity=section.intensity,
        region=section.region,
        info_bar=section.info_bar,
    )
