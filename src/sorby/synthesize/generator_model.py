"""A taught generator: images of a class on request, what they descend from, and its form as a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sorby import provenance
from sorby.backbone.runtime import Device, resolve_device
from sorby.bundle import Description, OpenBundle, TrainingData, open_bundle, write
from sorby.errors import BundleError, InputError
from sorby.synthesize import methods
from sorby.synthesize.originals import check_original
from sorby.synthesize.recipe import KIND, SynthesisRecipe
from sorby.synthesize.windows import Grey, to_grey_levels, to_signed

_BATCH = 16
_LIMITS = (
    "Its images descend from every original it was taught from: they belong to the part of a split that holds those,"
    " and never to one that judges.",
    "It repeats what a few originals show; it adds variants, not knowledge of surfaces that nobody imaged.",
)


@dataclass(frozen=True, eq=False)
class ClassNetworks:
    """Generator and discriminator of one class, in evaluation mode."""

    generator: nn.Module
    discriminator: nn.Module


@dataclass(frozen=True, eq=False)
class Samples:
    """Generated images and where they come from.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (n, size, size)
    parent : ndarray of int, shape (n,)
        Which of the given parents each was made from; -1 where the method has none.
    ancestors : list of tuple of str
        Names of every original its pixels can depend on: its parent, and all that its generator was taught from.
    """

    pixels: Grey
    parent: npt.NDArray[np.intp]
    ancestors: list[tuple[str, ...]]


class Generator:
    """Generators of some classes, taught by one recipe.

    Parameters
    ----------
    recipe : SynthesisRecipe
    seed : int
        Of the teaching; first weights follow from it.
    networks : mapping of str to ClassNetworks
    taught : mapping of str to tuple of str
        Names of the originals of each class, in their order; empty before teaching.
    fingerprint : str
        SHA-256 over the content hashes of the originals.
    device : str
        ``cpu`` or ``cuda``.
    """

    def __init__(
        self,
        recipe: SynthesisRecipe,
        seed: int,
        networks: Mapping[str, ClassNetworks],
        taught: Mapping[str, tuple[str, ...]],
        fingerprint: str,
        device: str = "cpu",
    ) -> None:
        self.recipe, self.seed, self.fingerprint, self.device = recipe, seed, fingerprint, device
        self.networks = dict(networks)
        self.taught = {label: tuple(taught.get(label, ())) for label in networks}

    @property
    def classes(self) -> list[str]:
        """Labels that can be generated."""
        return list(self.networks)

    @property
    def needs_parents(self) -> bool:
        """Whether `sample` needs originals to generate from."""
        return self.recipe.needs_parents

    def sample(
        self,
        label: str,
        count: int,
        *,
        seed: int,
        parents: Sequence[Grey] | Grey | None = None,
        parent_names: Sequence[str] | None = None,
    ) -> Samples:
        """Generate images of a class; image k follows from (seed, k) and its parent, not from *count*.

        Parameters
        ----------
        label : str
        count : int
        seed : int
        parents : sequence of ndarray of uint8, optional
            Originals (H, W), or sequences (T, H, W); taken in turn. Not used by methods without parents.
        parent_names : sequence of str, optional
            Their specimens or names; needed with parents, since generated images descend from them.

        Raises
        ------
        InputError
            The class is unknown, or parents or their names are missing or do not fit the recipe.
        """
        part = self._part(label)
        if count < 1:
            raise InputError(f"{count} images of {label}", "ask for 1 or more")
        given = self._checked_parents(parents, parent_names) if self.needs_parents else []
        made = [self._batch(part, seed, range(k, min(k + _BATCH, count)), given) for k in range(0, count, _BATCH)]
        known = set(self.taught[label])
        if not given:
            return Samples(np.concatenate(made), np.full(count, -1), [tuple(sorted(known))] * count)
        parent = np.arange(count) % len(given)
        names = [str(name) for name in parent_names or ()]
        return Samples(np.concatenate(made), parent, [tuple(sorted(known | {names[k]})) for k in parent])

    def next_frames(self, label: str, clips: Grey) -> Grey:
        """Return what follows the frames of clips, (n, frames, size, size) to (n, size, size); ``gan-frames`` only.

        Raises
        ------
        InputError
            The recipe has no sequences, or clips are of another shape.
        """
        size, frames = self.recipe.image.size_px, self.recipe.condition.frames
        if not self.recipe.needs_sequences or clips.shape[1:] != (frames, size, size):
            raise InputError(
                f"{self.recipe.method}: clips of shape {clips.shape}",
                f"gan-frames, clips (n, {frames}, {size}, {size})",
            )
        part = self._part(label)
        chunks = [clips[k : k + _BATCH] for k in range(0, len(clips), _BATCH)]
        with torch.inference_mode():
            found = [part.generator([], to_signed(chunk).to(self.device)) for chunk in chunks]
        return np.concatenate([to_grey_levels(each)[:, 0] for each in found])

    def realism(self, label: str, pixels: Grey) -> npt.NDArray[np.float64]:
        """Return the discriminator's mean score of images (n, size, size): higher where it takes them for originals.

        It is no probability, and scores of two classes or generators do not compare.
        """
        part = self._part(label)
        chunks = [pixels[k : k + _BATCH] for k in range(0, len(pixels), _BATCH)]
        with torch.inference_mode():
            # One image at a time in what looks at the whole batch: a score must not depend on its neighbours.
            scores = [
                part.discriminator(to_signed(image)[None, None].to(self.device)).mean()
                for each in chunks
                for image in each
            ]
        return torch.stack(scores).double().cpu().numpy() if scores else np.zeros(0)

    def untrained(self) -> Generator:
        """Return a generator of the same shape with the first weights, which saw no original: what teaching adds to."""
        return Generator(
            self.recipe, self.seed, _first_networks(self.recipe, self.seed, self.classes, self.device), {}, ""
        )

    def save(
        self,
        path: Path,
        *,
        metrics: Mapping[str, Any] | None = None,
        notes: Sequence[str] = (),
        overwrite: bool = False,
    ) -> str:
        """Write the generator as a bundle and return its SHA-256.

        Raises
        ------
        InputError
            Something is at *path* already, or it cannot be written.
        """
        names = {name for each in self.taught.values() for name in each}
        count = sum(len(each) for each in self.taught.values())
        data = TrainingData(fingerprint=self.fingerprint, n=count, n_specimens=len(names)) if self.fingerprint else None
        description = Description(
            kind=KIND,
            name=Path(path).stem,
            classes=self.classes,
            preprocessing={"channels": 1, "size_px": self.recipe.image.size_px, "range": "[-1, 1]"},
            model={
                "recipe": self.recipe.model_dump(mode="json"),
                "seed": self.seed,
                "taught": {label: list(each) for label, each in self.taught.items()},
                "parameters": {
                    "generator": _parameters(part.generator for part in self.networks.values()),
                    "discriminator": _parameters(part.discriminator for part in self.networks.values()),
                },
            },
            training_data=data,
            metrics=dict(metrics or {}),
            licence="as the training images allow; state it with the bundle",
            provenance=provenance.describe(self.seed),
            limits=list(_LIMITS),
            notes=list(notes),
        )
        tensors: dict[str, dict[str, npt.NDArray[Any]]] = {"weights": {}, "discriminators": {}}
        for index, part in enumerate(self.networks.values()):
            tensors["weights"] |= _arrays(index, part.generator)
            tensors["discriminators"] |= _arrays(index, part.discriminator)
        return write(path, description, tensors=tensors, overwrite=overwrite)

    @classmethod
    def load(cls, path: Path | str, *, device: Device = "auto", require_signed: bool = False) -> Generator:
        """Read a generator from a bundle; every byte is verified first.

        Raises
        ------
        BundleError
            See `sorby.bundle.open_bundle`; or the bundle holds no generator.
        """
        return cls.from_bundle(open_bundle(path, require_signed=require_signed), device)

    @classmethod
    def from_bundle(cls, bundle: OpenBundle, device: Device = "auto") -> Generator:
        """Rebuild a generator from an open, verified bundle.

        Raises
        ------
        BundleError
            It is of another kind, or its contents do not fit together.
        """
        description = bundle.description
        if description.kind != KIND:
            raise BundleError(
                f"{bundle.path}: holds a model of kind '{description.kind}', not a generator of images",
                "make one with sorby synthesize train",
            )
        try:
            model: dict[str, Any] = dict(description.model)
            recipe, seed = SynthesisRecipe.model_validate(model["recipe"]), int(model["seed"])
            networks = _first_networks(recipe, seed, description.classes, "cpu")
            generators, discriminators = bundle.tensors("weights"), bundle.tensors("discriminators")
            for index, part in enumerate(networks.values()):
                _fill(part.generator, index, generators)
                _fill(part.discriminator, index, discriminators)
            taught = {label: tuple(map(str, model["taught"][label])) for label in description.classes}
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BundleError(
                f"bundle {description.name}: contents do not fit together ({first})", "teach it again"
            ) from error
        target = resolve_device(device)
        for part in networks.values():
            part.generator.to(target)
            part.discriminator.to(target)
        data = description.training_data
        return cls(recipe, seed, networks, taught, data.fingerprint if data else "", target)

    def _part(self, label: str) -> ClassNetworks:
        if label not in self.networks:
            raise InputError(f"the generator knows no class {label}", f"its classes: {', '.join(self.classes)}")
        return self.networks[label]

    def _checked_parents(self, parents: Sequence[Grey] | Grey | None, names: Sequence[str] | None) -> list[Grey]:
        if parents is None or not len(parents):
            what = "sequences" if self.recipe.needs_sequences else "originals"
            raise InputError(f"{self.recipe.method} generates from {what}; none were given", "give --parents")
        if names is None or len(names) != len(parents):
            raise InputError(
                f"{len(parents)} parents and {0 if names is None else len(names)} names",
                "name the specimen of each parent: its images belong to that specimen's part of a split",
            )
        given = [np.asarray(parent) for parent in parents]
        for name, parent in zip(names, given, strict=True):
            check_original(parent, str(name), self.recipe, to_come=0)
        return given

    def _batch(self, part: ClassNetworks, seed: int, numbers: range, parents: Sequence[Grey]) -> Grey:
        """Return the images with these numbers."""
        noises, conditions = [], []
        for number in numbers:
            rng = np.random.default_rng([seed, number])
            noises.append(draw_noise(part.generator, 1, torch.Generator().manual_seed(int(rng.integers(2**62)))))
            if parents:
                conditions.append(methods.condition_from(self.recipe, parents[number % len(parents)], rng))
        noise = [torch.cat(each).to(self.device) for each in zip(*noises, strict=True)]
        condition = torch.stack(conditions).to(self.device) if conditions else None
        with torch.inference_mode():
            return to_grey_levels(part.generator(noise, condition))[:, 0]


def load_bundle(bundle: OpenBundle, device: str) -> Generator:
    """Load a generator's bundle for `sorby.bundle.load`."""
    return Generator.from_bundle(bundle, device)  # type: ignore[arg-type]


def class_seed(seed: int, index: int) -> int:
    """Return the seed of the class with this index: of its first weights and of all that follows."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def draw_noise(generator: nn.Module, count: int, chance: torch.Generator, device: str = "cpu") -> list[torch.Tensor]:
    """Return the noise of *count* images; it is drawn on the CPU, so that a seed means the same on every device."""
    shapes: tuple[tuple[int, ...], ...] = generator.noise_shapes  # type: ignore[assignment]
    return [torch.randn((count, *shape), generator=chance).to(device) for shape in shapes]


def _first_networks(
    recipe: SynthesisRecipe, seed: int, classes: Sequence[str], device: str
) -> dict[str, ClassNetworks]:
    built: dict[str, ClassNetworks] = {}
    for index, label in enumerate(classes):
        generator, discriminator = methods.networks(recipe, class_seed(seed, index))
        built[label] = ClassNetworks(generator.to(device).eval(), discriminator.to(device).eval())
    return built


def _parameters(networks: Any) -> int:
    return sum(each.numel() for network in networks for each in network.parameters())


def _arrays(index: int, network: nn.Module) -> dict[str, npt.NDArray[Any]]:
    state = network.state_dict()
    return {f"{index}.{key}": np.atleast_1d(value.detach().cpu().numpy()) for key, value in state.items()}


def _fill(network: nn.Module, index: int, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    state = network.state_dict()
    found = {key: torch.from_numpy(np.array(arrays[f"{index}.{key}"])).reshape(state[key].shape) for key in state}
    network.load_state_dict(found)
