"""Networks taught by a few originals, with or without generated images beside them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sorby.backbone import Preprocessing
from sorby.backbone.pipeline import prepared
from sorby.backbone.runtime import Device, run
from sorby.classify import Recipe
from sorby.classify.finetune import Finetuned, Part, finetune
from sorby.classify.heads import Targets, spec_for
from sorby.classify.network import ClassifierNetwork
from sorby.classify.recipe import changed
from sorby.errors import InputError, SorbyError
from sorby.micrograph import resize
from sorby.synthesize import Generator, SynthesisRecipe, teach
from sorby.workflow.experiments.bench import Bench
from sorby.workflow.experiments.extracting import bench_features, extractor_of
from sorby.workflow.experiments.few_originals import codes_of
from sorby.workflow.experiments.linear import fit_at, fit_flat

Pixels = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]

_EPOCHS = 4  # at most, of so many images that the exposures come out; passes over few images are put together
_BATCH_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Images:
    """Grey images at the sizes of generator, network and frozen backbone.

    Attributes
    ----------
    small : ndarray of uint8, shape (n, g, g)
        As the generator sees and makes them.
    network : ndarray of uint8, shape (n, H, W, 1)
    features : ndarray of float32, shape (n, D)
        Of the frozen backbone.
    labels : ndarray of int, shape (n,)
    """

    small: Pixels
    network: Pixels
    features: Features
    labels: Rows

    def take(self, rows: Rows) -> Images:
        """Return some of them."""
        return Images(self.small[rows], self.network[rows], self.features[rows], self.labels[rows])

    def joined(self, other: Images) -> Images:
        """Return these and others."""
        return Images(
            np.concatenate([self.small, other.small]),
            np.concatenate([self.network, other.network]),
            np.concatenate([self.features, other.features]),
            np.concatenate([self.labels, other.labels]),
        )


class Studio:
    """Originals, generators taught by some of them, and what those generators made.

    Parameters
    ----------
    bench : Bench
        Of a frozen recipe; its backbone gives the features.
    network : Recipe
        Of the network that is taught on pixels.
    synthesis : SynthesisRecipe
    per_original : float
        Generated images for each original that teaches.
    """

    def __init__(self, bench: Bench, network: Recipe, synthesis: SynthesisRecipe, per_original: float) -> None:
        self.bench, self.network, self.synthesis, self.per_original = bench, network, synthesis, per_original
        self._extractor = extractor_of(bench)
        self.names = [str(name) for name in (codes_of(bench) if bench.specimens is None else bench.specimens)]
        section = network.image
        self.originals = Images(
            self._read(synthesis.image.size_px, synthesis.image.size_px)[..., 0],
            self._read(section.height, section.width),
            bench_features(bench, self._extractor),
            bench.labels,
        )
        self._made: dict[tuple[int, tuple[int, ...]], tuple[Pixels, list[tuple[str, ...]]]] = {}
        self.seconds: list[float] = []

    def _read(self, height: int, width: int) -> Pixels:
        """Return all originals, grey and resized, shape (n, height, width, 1).

        Raises
        ------
        InputError
            One cannot be read.
        """
        rule = self.bench.plan.preprocessing.model_copy(update={"height": height, "width": width, "colour": "grey"})
        found = []
        for path, outcome in prepared(self.bench.corpus.paths(), Preprocessing.model_validate(rule.model_dump()).read):
            if isinstance(outcome, SorbyError):
                raise InputError(f"{path}: {outcome}", "take it out of the data")
            found.append(outcome)
        return np.stack(found)

    def generated(self, taught: Rows) -> Images:
        """Return what generators make that some originals taught, one generator a class.

        Parameters
        ----------
        taught : ndarray of int
            Rows of the bench.

        Raises
        ------
        RuntimeError
            A generated image names an ancestor that did not teach.
        """
        pixels, labels = [], []
        for label in np.unique(self.bench.labels[taught]):
            mine = taught[self.bench.labels[taught] == label]
            made, ancestors = self._of_class(int(label), mine)
            allowed = {self.names[row] for row in mine}
            if strangers := {name for each in ancestors for name in each} - allowed:
                raise RuntimeError(f"generated images descend from {sorted(strangers)}, which did not teach")
            pixels.append(made)
            labels.append(np.full(len(made), label, np.intp))
        return self._images(np.concatenate(pixels), np.concatenate(labels))

    def _of_class(self, label: int, mine: Rows) -> tuple[Pixels, list[tuple[str, ...]]]:
        key = (label, tuple(int(row) for row in mine))
        if key not in self._made:
            name, seed = self.bench.classes[label], self.bench.recipe.seed
            names, originals = [self.names[row] for row in mine], self.originals.small[mine]
            taught = teach(
                {name: list(originals)}, {name: names}, self.synthesis,
                seed=seed, device=self.bench.device, state_folder=None,
            )  # fmt: skip
            self.seconds.append(taught.seconds)
            generator: Generator = taught.generator
            parents: dict[str, Any] = (
                {"parents": originals, "parent_names": names}
                if generator.needs_parents
                else {"parents": None, "parent_names": None}
            )
            samples = generator.sample(name, round(self.per_original * len(mine)), seed=seed, **parents)
            self._made[key] = (samples.pixels, list(samples.ancestors))
        return self._made[key]

    def _images(self, small: Pixels, labels: Rows) -> Images:
        section, rule = self.network.image, self._extractor.preprocessing
        network = _resized(small, (section.height, section.width))
        channels = np.repeat(_resized(small, (rule.height, rule.width)), rule.channels, axis=3)
        return Images(small, network, run(self._extractor.runtime, channels)[0], labels)


def _resized(small: Pixels, size: tuple[int, int]) -> Pixels:
    """Return grey images (n, h, w) at another size, shape (n, *size*, 1)."""
    return np.stack([np.asarray(resize(each, size), np.uint8)[..., None] for each in small])


def teach_network(
    taught: Images, judged: Images | None, classes: Sequence[str], recipe: Recipe, settings: Mapping[str, Any], *,
    exposures: int | None = None, device: Device = "auto",
) -> Finetuned:  # fmt: skip
    """Teach a network from its first weights, on images at hand.

    Parameters
    ----------
    taught : Images
    judged : Images, optional
        Looked at after every epoch, for the learning curve; no epoch is chosen by them.
    classes : sequence of str
    recipe : Recipe
        Of a fine-tuned regime.
    settings : mapping
        Fields of the recipe that are changed.
    exposures : int, optional
        Images of an epoch, the given ones over and over, each as often as any other, give or take one; each once
        where absent. Where they are fewer than the given ones, some spread evenly over these.
    device : {"auto", "cpu", "cuda"}
    """
    # No original can be spared for the choice of an epoch.
    chosen = changed(recipe, {"finetune.keep": "last", "finetune.schedule": "constant", "finetune.warmup_steps": 0,
                              **settings})  # fmt: skip
    n = len(taught.labels)
    each = n if exposures is None else exposures
    # Evenly along the list, which holds originals first and one class after another: cut off, it would lose a class.
    rows = np.arange(each) * n // each
    part = Part(taught.network, rows, Targets.plain(taught.labels[rows]))
    if judged is None:
        validation = Part(taught.network, rows[:0], Targets.plain(taught.labels[rows[:0]]))
    else:
        validation = Part(judged.network, np.arange(len(judged.labels)), Targets.plain(judged.labels))
    spec = spec_for(chosen.head, tuple(classes), inputs=1, parts=None, lengths=(), frozen=False)
    with tempfile.TemporaryDirectory() as state:
        return finetune(chosen, spec, part, validation, Path(state), device=device)


def network_calls(
    taught: Images, judged: Pixels, classes: Sequence[str], recipe: Recipe, exposures: int, *,
    augmented: bool, seed: int, device: Device,
) -> Rows:  # fmt: skip
    """Teach a network from its first weights and return the classes that it calls.

    Parameters
    ----------
    taught : Images
    judged : ndarray of uint8, shape (m, H, W, 1)
    classes : sequence of str
    recipe : Recipe
        Of a fine-tuned regime.
    exposures : int
        Images seen in all, the same for every arm however many different ones there are.
    augmented : bool
        Whether each image is turned, shifted, flipped, lit and zoomed anew every time (the paper's image generator).
    seed : int
    device : {"auto", "cpu", "cuda"}
    """
    epochs = max(1, min(_EPOCHS, exposures // len(taught.labels)))
    settings = {"seed": seed, "augment": "corrosion" if augmented else "none", "finetune.epochs": epochs}
    done = teach_network(taught, None, classes, recipe, settings, exposures=exposures // epochs, device=device)
    return calls_of(done.network.eval(), judged)


def calls_of(network: ClassifierNetwork, judged: Pixels) -> Rows:
    """Return the class that a network calls for each of some images (m, H, W, 1)."""
    found = []
    with torch.inference_mode():
        where = next(network.parameters()).device
        for batch in np.split(judged, range(_BATCH_AT_ONCE, len(judged), _BATCH_AT_ONCE)):
            found.append(network(torch.from_numpy(np.ascontiguousarray(batch)).to(where))[0].argmax(1).cpu().numpy())
    return np.concatenate(found).astype(np.intp)


@dataclass(eq=False)
class FrozenCaller:
    """A linear head on frozen features; its strength is chosen on originals alone.

    Attributes
    ----------
    recipe : Recipe
    n_classes : int
    strengths : list of float
        Chosen so far.
    """

    recipe: Recipe
    n_classes: int
    strengths: list[float] = field(default_factory=list)

    def calls(self, originals: Images, added: Images | None, judged: Features, groups: Any) -> Rows:
        """Return the classes called.

        Parameters
        ----------
        originals : Images
        added : Images, optional
            Generated ones to teach by too.
        judged : ndarray of float32, shape (m, D)
        groups : ndarray or None
            Specimens of the originals.
        """
        flat = fit_flat(originals.features, originals.labels, self.n_classes, groups, self.recipe)
        self.strengths.append(flat.c)
        model = flat.model
        if added is not None:
            every = originals.joined(added)
            model = fit_at([(every.features, every.labels)], self.n_classes, flat.c)[0]
        called: Rows = model(judged).argmax(axis=1).astype(np.intp)
        return called
