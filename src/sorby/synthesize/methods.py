"""What tells the methods apart: their networks, what a batch is, which terms the generator's loss has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from sorby.synthesize import losses
from sorby.synthesize.discriminators import ImageClassifier, PatchDiscriminator
from sorby.synthesize.generators import FiveLayerGenerator, UNetGenerator
from sorby.synthesize.recipe import SynthesisRecipe
from sorby.synthesize.sketches import new_layout, sketch
from sorby.synthesize.small_data import ModulatedGenerator, SmallDataDiscriminator
from sorby.synthesize.windows import Grey, to_signed, window

Terms = dict[str, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step is taught from.

    Attributes
    ----------
    real : Tensor, shape (n, 1, size, size)
        In [-1, 1].
    condition : Tensor or None, shape (n, c, size, size)
        What the generator is shown.
    before : Tensor or None, shape (n, 1, size, size)
        The frame before the one to be generated.
    """

    real: torch.Tensor
    condition: torch.Tensor | None = None
    before: torch.Tensor | None = None

    def to(self, device: str) -> Batch:
        """Return the batch on a device."""
        moved = [None if each is None else each.to(device) for each in (self.condition, self.before)]
        return Batch(self.real.to(device), *moved)


def networks(recipe: SynthesisRecipe, seed: int) -> tuple[nn.Module, nn.Module]:
    """Return generator and discriminator with their first weights, which follow from the seed."""
    size, section = recipe.image.size_px, recipe.network
    generator: nn.Module
    discriminator: nn.Module
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if recipe.method == "small-data":
            generator = ModulatedGenerator(size, section.latent, section.width, section.waves)
            discriminator = SmallDataDiscriminator(size, section.discriminator_width)
        elif recipe.method == "gan-five-layer":
            generator = FiveLayerGenerator(size, section.latent, section.width)
            discriminator = ImageClassifier(section.discriminator_width)
        elif recipe.method == "gan-stills":
            generator = UNetGenerator(size, 1, section.width, section.latent)
            discriminator = PatchDiscriminator(section.discriminator_width)
        else:
            generator = UNetGenerator(size, recipe.condition.frames, section.width)
            discriminator = PatchDiscriminator(section.discriminator_width)
    placed: tuple[nn.Module, nn.Module] = (
        generator.to(memory_format=torch.channels_last),
        discriminator.to(memory_format=torch.channels_last),
    )
    return placed


def teaching_batch(recipe: SynthesisRecipe, originals: Sequence[Grey], rng: np.random.Generator) -> Batch:
    """Return random windows of random originals; of sequences random clips, which never cross from one to another."""
    chosen = rng.integers(0, len(originals), recipe.training.batch_size)
    if recipe.needs_sequences:
        clips = to_signed(np.stack([clip(originals[k], recipe, recipe.condition.frames + 1, rng) for k in chosen]))
        return Batch(clips[:, -1:], clips[:, :-1], clips[:, -2:-1])
    real = to_signed(np.stack([_window(originals[k], recipe, rng) for k in chosen]))[:, None]
    if recipe.method == "gan-stills":
        return Batch(real, sketch(real, recipe.condition.sketch_px))
    return Batch(real)


def clip(sequence: Grey, recipe: SynthesisRecipe, frames: int, rng: np.random.Generator) -> Grey:
    """Return *frames* consecutive frames of one sequence (T, H, W), the same window of each."""
    start = int(rng.integers(0, len(sequence) - frames + 1))
    return _window(sequence[start : start + frames], recipe, rng)


def condition_from(recipe: SynthesisRecipe, parent: Grey, rng: np.random.Generator) -> torch.Tensor:
    """Return what the generator is shown to make one new image from a parent.

    Parameters
    ----------
    recipe : SynthesisRecipe
        Of a method with parents.
    parent : ndarray of uint8, shape (H, W), or of a sequence (T, H, W)
    rng : numpy.random.Generator

    Returns
    -------
    Tensor, shape (c, size, size)
        Consecutive frames; or a layout that no place of the still has, see `sorby.synthesize.sketches.new_layout`.
    """
    if recipe.needs_sequences:
        return to_signed(clip(parent, recipe, recipe.condition.frames, rng))
    views = to_signed(np.stack([_window(parent, recipe, rng) for _ in range(2)]))
    return new_layout(views, recipe.condition.sketch_px, recipe.condition.warp, rng)


def generator_terms(recipe: SynthesisRecipe, batch: Batch, generated: torch.Tensor, scores: torch.Tensor) -> Terms:
    """Return the terms of the generator's loss by name, not yet weighted."""
    if recipe.method == "small-data":
        return {"adversarial": losses.logistic_generator(scores)}
    terms = {"adversarial": losses.least_squares_generator(scores)}
    if recipe.needs_parents:
        terms["intensity"] = losses.intensity(generated, batch.real)
        terms["gradient"] = losses.gradient_difference(generated, batch.real)
    if batch.before is not None:
        terms["flow"] = losses.flow_difference(batch.before, generated, batch.real)
    return terms


def weighted(recipe: SynthesisRecipe, terms: Terms) -> torch.Tensor:
    """Return equation 7: the sum of terms by their weights. A single term needs none."""
    if len(terms) == 1:
        return next(iter(terms.values()))
    weights = recipe.losses.model_dump()
    return torch.stack([weights[name] * term for name, term in terms.items()]).sum()


def discriminator_loss(recipe: SynthesisRecipe, on_real: torch.Tensor, on_generated: torch.Tensor) -> torch.Tensor:
    """Return the discriminator's loss."""
    if recipe.method == "small-data":
        return losses.logistic_discriminator(on_real, on_generated)
    return losses.least_squares_discriminator(on_real, on_generated)


def boundary(recipe: SynthesisRecipe) -> float:
    """Return the score above which the discriminator takes an image for an original: half-way between its targets."""
    return 0.0 if recipe.method == "small-data" else 0.5


def _window(original: Grey, recipe: SynthesisRecipe, rng: np.random.Generator) -> Grey:
    image = recipe.image
    return window(original, image.size_px, rng, flips=image.flips, turns=image.turns)
