"""Teaching a generator for each class; killed at any moment and started again it ends with the same weights."""

from __future__ import annotations

import copy
import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sorby.backbone.runtime import Device, resolve_device, resolve_precision
from sorby.errors import InputError
from sorby.progress import bar
from sorby.synthesize import losses, methods
from sorby.synthesize.generator_model import ClassNetworks, Generator, class_seed, draw_noise
from sorby.synthesize.originals import checked_originals
from sorby.synthesize.recipe import SynthesisRecipe
from sorby.synthesize.teaching_state import load_state, save_state
from sorby.synthesize.windows import Grey, changed_alike

OnStep = Callable[[dict[str, Any]], None]
"""Called with each new entry of the history; an exception it raises ends the teaching there."""

_WARM_UP = 10.0  # steps after which the running mean of weights forgets the first ones


@dataclass(frozen=True, eq=False)
class Taught:
    """A generator and how it came about.

    Attributes
    ----------
    generator : Generator
    history : list of dict
        One entry for each class and ``report_every`` steps, means over them: ``label``, ``step`` (done so far),
        ``generator_loss``, ``discriminator_loss``, the generator's terms by name, ``real_accuracy`` and
        ``generated_accuracy`` (shares the discriminator told right), ``seconds`` (since the class was begun).
    seconds : float
        Of teaching, over all processes that took part.
    """

    generator: Generator
    history: list[dict[str, Any]]
    seconds: float


def teach(
    images: Mapping[str, Sequence[Grey]],
    names: Mapping[str, Sequence[str]],
    recipe: SynthesisRecipe,
    *,
    seed: int,
    device: Device = "auto",
    state_folder: Path | None = None,
    on_step: OnStep | None = None,
) -> Taught:
    """Teach one generator for each class.

    Parameters
    ----------
    images : mapping of str to sequence of ndarray of uint8
        Label to originals, (H, W) each, or (T, H, W) for a recipe that needs sequences; sides of at least
        ``image.size_px``, see `sorby.synthesize.as_original`. An array (n, H, W) will do.
    names : mapping of str to sequence of str
        Label to the specimen or image name of each original: what generated images descend from.
    recipe : SynthesisRecipe
    seed : int
    device : {"auto", "cpu", "cuda"}
    state_folder : Path, optional
        Holds the state of each class; a teaching that was interrupted goes on from it.
    on_step : callable, optional
        Told of every entry of the history in order, of those that lie in the state first.

    Raises
    ------
    InputError
        Originals do not fit the recipe, the folder holds the state of another teaching, or the teaching diverges.
    """
    originals = checked_originals(images, names, recipe)
    target = resolve_device(device)
    tell = on_step or (lambda entry: None)
    parts: dict[str, ClassNetworks] = {}
    history: list[dict[str, Any]] = []
    seconds = 0.0
    for index, label in enumerate(originals):
        path = None if state_folder is None else state_folder / f"class-{index + 1}.safetensors"
        part = _ClassTeaching(label, originals[label], recipe, class_seed(seed, index), target)
        part.run(path, _identity(label, originals[label], names[label], recipe, seed), tell)
        parts[label] = part.result()
        history += part.history
        seconds += part.seconds
    taught = {label: tuple(str(name) for name in names[label]) for label in originals}
    fingerprint = hashlib.sha256("\n".join(sorted(_sha256(each) for e in originals.values() for each in e)).encode())
    return Taught(Generator(recipe, seed, parts, taught, fingerprint.hexdigest(), target), history, seconds)


class _ClassTeaching:
    """The moving parts of one class's teaching."""

    def __init__(self, label: str, originals: Sequence[Grey], recipe: SynthesisRecipe, seed: int, device: str) -> None:
        self.label, self.originals, self.recipe, self.seed, self.device = label, originals, recipe, seed, device
        section = recipe.training
        generator, discriminator = (network.to(device).train() for network in methods.networks(recipe, seed))
        self.modules: dict[str, nn.Module] = {
            "generator": generator,
            "average": copy.deepcopy(generator).eval(),
            "discriminator": discriminator,
        }
        betas = (section.momentum, 0.99 if section.momentum < 0.5 else 0.999)
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "of_generator": torch.optim.Adam(generator.parameters(), lr=section.generator_rate, betas=betas),
            "of_discriminator": torch.optim.Adam(
                discriminator.parameters(), lr=section.discriminator_rate, betas=betas
            ),
        }
        native = resolve_precision(section.precision) if device == "cpu" else section.precision
        self.bf16 = native == "bf16" or (device == "cuda" and native == "auto" and torch.cuda.is_bf16_supported())
        self.history: list[dict[str, Any]] = []
        self.seconds = 0.0

    def run(self, path: Path | None, identity: str, tell: OnStep) -> None:
        """Take the steps that are still to take."""
        section = self.recipe.training
        done = 0
        if path is not None and path.is_file():
            notes = load_state(path, self.modules, self.optimisers, identity)
            done, self.history, self.seconds = int(notes["step"]), notes["history"], float(notes["seconds"])
            for entry in self.history:
                tell(entry)
        begun, before, seen = time.perf_counter(), self.seconds, []
        with bar(f"teach {self.label}", section.steps - done) as advance:
            for step in range(done + 1, section.steps + 1):
                seen.append(self.step(step))
                advance(1)
                last = step == section.steps
                if not (step % section.report_every == 0 or step % section.keep_every == 0 or last):
                    continue
                self.seconds = before + time.perf_counter() - begun
                self.history.append(self._entry(step, seen))
                tell(self.history[-1])
                seen = []
                if path is not None and (step % section.keep_every == 0 or last):
                    notes = {"identity": identity, "step": step, "history": self.history, "seconds": self.seconds}
                    save_state(path, self.modules, self.optimisers, notes)

    def step(self, number: int) -> dict[str, float]:
        """Teach the discriminator and then the generator once; all chance follows from (seed, step)."""
        rng = np.random.default_rng([self.seed, number])
        chance = torch.Generator().manual_seed(int(rng.integers(2**62)))
        recipe, modules = self.recipe, self.modules
        batch = methods.teaching_batch(recipe, self.originals, rng).to(self.device)
        noise = draw_noise(modules["generator"], len(batch.real), chance, self.device)
        with self._precision():
            generated = modules["generator"](noise, batch.condition)
            on_real = modules["discriminator"](self._shown(batch.real, chance))
            on_generated = modules["discriminator"](self._shown(generated.detach(), chance))
        verdict = methods.discriminator_loss(recipe, on_real, on_generated)
        penalty = self._penalty(number, batch.real, chance)
        self._update("of_discriminator", verdict if penalty is None else verdict + penalty)
        modules["discriminator"].requires_grad_(False)
        with self._precision():
            scores = modules["discriminator"](self._shown(generated, chance))
        terms = methods.generator_terms(recipe, batch, generated, scores)
        loss = methods.weighted(recipe, terms)
        self._update("of_generator", loss)
        modules["discriminator"].requires_grad_(True)
        self._average(number)
        line = methods.boundary(recipe)
        return {
            "generator_loss": float(loss.detach()),
            "discriminator_loss": float(verdict.detach()),
            **{name: float(term.detach()) for name, term in terms.items()},
            "real_accuracy": float((on_real > line).float().mean()),
            "generated_accuracy": float((on_generated <= line).float().mean()),
        }

    def _penalty(self, number: int, real: torch.Tensor, chance: torch.Generator) -> torch.Tensor | None:
        """Return the penalty on slopes in the steps that have one, as often as strong: second derivatives cost."""
        section = self.recipe.training
        if section.penalty == 0 or number % section.penalty_every:
            return None
        slope = losses.slope_penalty(self.modules["discriminator"], self._shown(real, chance))
        return section.penalty * section.penalty_every * slope

    def result(self) -> ClassNetworks:
        """Return the networks to keep."""
        return ClassNetworks(self.modules["average"].eval(), self.modules["discriminator"].eval())

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.bf16)

    def _shown(self, images: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
        """Return images as the discriminator sees them."""
        return changed_alike(images, chance) if self.recipe.training.augment else images

    def _update(self, optimiser: str, loss: torch.Tensor) -> None:
        self.optimisers[optimiser].zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimisers[optimiser].step()

    @torch.no_grad()
    def _average(self, step: int) -> None:
        """Move the running mean towards the generator; buffers move with it."""
        share = 1.0 - min(self.recipe.training.average, step / (step + _WARM_UP))
        share = 1.0 if self.recipe.training.average == 0 else share
        now = self.modules["generator"].state_dict()
        for key, mean in self.modules["average"].state_dict().items():
            if mean.dtype.is_floating_point:
                mean.lerp_(now[key], share)
            else:
                mean.copy_(now[key])

    def _entry(self, step: int, seen: list[dict[str, float]]) -> dict[str, Any]:
        means = {key: float(np.mean([each[key] for each in seen])) for key in seen[0]}
        if not all(math.isfinite(value) for value in means.values()):
            raise InputError(
                f"{self.label}: the losses are no longer numbers at step {step}",
                "lower rates, e.g. --set training.generator_rate=5e-5, or --set training.precision=fp32",
            )
        return {"label": self.label, "step": step, **means, "seconds": self.seconds}


def _sha256(original: Grey) -> str:
    digest = hashlib.sha256(str(original.shape).encode())
    digest.update(np.ascontiguousarray(original).tobytes())
    return digest.hexdigest()


def _identity(label: str, originals: Sequence[Grey], names: Sequence[str], recipe: SynthesisRecipe, seed: int) -> str:
    """Identify a class's teaching, so that the state of another one is never resumed."""
    told = [recipe.model_dump_json(), str(seed), label, *map(str, names), *(_sha256(each) for each in originals)]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()
