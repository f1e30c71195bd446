"""What a generator of images is made of and how it is taught, as a validated file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sorby.recipe_files import dump_recipe, read_recipe, recipe_folder
from sorby.recipe_files import recipe_names as names_in

KIND = "generator"
"""Kind of the bundles that hold a generator."""

_FOLDER = "synthesis"

Method = Literal["gan-five-layer", "gan-frames", "gan-stills", "small-data"]


class Section(BaseModel):
    """A recipe section: unknown fields are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ImageSection(Section):
    """Which pixels are learnt.

    Attributes
    ----------
    size_px : int
        Edge of the images that are taught and generated; 450 in Bhat et al. (2023).
    original_px : int or None
        Shorter edge to which originals are brought first; where it is larger than ``size_px``, random windows of them
        are taught, so that few originals show more. None is ``size_px``: whole pictures.
    flips, turns : bool
        Whether windows are flipped, and turned by quarters. What a microscope writes along its lines (charging,
        drift) does not turn with the specimen.
    """

    size_px: int = Field(128, ge=32, le=1024)
    original_px: int | None = Field(None, ge=32, le=8192)
    flips: bool = True
    turns: bool = False

    @property
    def shorter_edge_px(self) -> int:
        """Shorter edge of the originals, pixels."""
        return self.original_px or self.size_px

    @model_validator(mode="after")
    def _fits(self) -> ImageSection:
        if self.shorter_edge_px < self.size_px:
            raise ValueError("original_px is smaller than size_px")
        return self


class NetworkSection(Section):
    """How large the networks are.

    Attributes
    ----------
    width : int
        Channels of the generator where there are fewest.
    discriminator_width : int
        Channels after the discriminator's first convolution.
    latent : int
        Length of the vector of noise; of ``gan-stills`` channels of noise beside the parent. ``gan-frames`` has none.
    waves : int
        ``small-data``: parallel waves for marks that run through a whole image, as of grinding; 0 for none.
    """

    width: int = Field(32, ge=1, le=256)
    discriminator_width: int = Field(24, ge=1, le=256)
    latent: int = Field(64, ge=2, le=1024)
    waves: int = Field(16, ge=0, le=64)


class ConditionSection(Section):
    """What a generator with parents is shown of them.

    Attributes
    ----------
    frames : int
        ``gan-frames``: how many frames come before the one that is generated; 4 in Bhat et al. (2023).
    sketch_px : int
        ``gan-stills``: edge of the cells over which the parent is averaged, so that only its layout remains.
    warp : float
        ``gan-stills``: how far a new layout's places are moved when it is sampled, in cells.
    """

    frames: int = Field(4, ge=1, le=32)
    sketch_px: int = Field(16, ge=2, le=128)
    warp: float = Field(1.5, ge=0, le=8)


class LossSection(Section):
    """Weights of the generator's terms, equation 7 of Bhat et al. (2023).

    The values are those of W. Liu et al. (CVPR 2018, arXiv 1712.09867), whose objective it is; Bhat et al. give none.

    Attributes
    ----------
    intensity, gradient, flow, adversarial : float
        Methods from noise have the adversarial term alone; only ``gan-frames`` has a flow.
    """

    intensity: float = Field(1.0, ge=0, le=1e4)
    gradient: float = Field(1.0, ge=0, le=1e4)
    flow: float = Field(2.0, ge=0, le=1e4)
    adversarial: float = Field(0.05, gt=0, le=1e4)


class TrainingSection(Section):
    """How both networks are taught.

    Attributes
    ----------
    steps : int
        For each class.
    batch_size : int
        4 in Bhat et al. (2023).
    generator_rate, discriminator_rate : float
        1e-4 and 1e-5 in Bhat et al. (2023).
    momentum : float
        Adam's first decay.
    average : float
        Decay of the running mean of the generator's weights, which is kept; 0 keeps the last weights.
    augment : bool
        Whether originals and generated images are changed alike before the discriminator sees them.
    penalty : float
        Weight of the squared slope of the discriminator at originals; 0 for none.
    penalty_every : int
        Steps from one penalty to the next; each then weighs as many times more.
    precision : {"auto", "fp32", "bf16"}
        ``auto`` is bf16 where the processor has it.
    report_every : int
        Steps that an entry of the history covers.
    keep_every : int
        Steps after which the state is written.
    """

    steps: int = Field(4000, ge=1, le=10_000_000)
    batch_size: int = Field(8, ge=2, le=256)
    generator_rate: float = Field(5e-4, gt=0, le=1)
    discriminator_rate: float = Field(5e-4, gt=0, le=1)
    momentum: float = Field(0.0, ge=0, lt=1)
    average: float = Field(0.995, ge=0, lt=1)
    augment: bool = True
    penalty: float = Field(0.5, ge=0, le=1e4)
    penalty_every: int = Field(4, ge=1, le=1000)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    report_every: int = Field(50, ge=1)
    keep_every: int = Field(500, ge=1)


class SynthesisRecipe(Section):
    """A whole generator.

    Attributes
    ----------
    method : {"gan-five-layer", "gan-frames", "gan-stills", "small-data"}
        ``gan-five-layer``: noise through five transposed convolutions. ``gan-frames``: a U-Net from the frames of a
        sequence to the next. ``gan-stills``: the same U-Net from the layout of a parent. ``small-data``: a
        latent vector and noise, images changed alike, slopes held.
    """

    name: str = "small-data"
    method: Method = "small-data"
    image: ImageSection = ImageSection()
    network: NetworkSection = NetworkSection()
    condition: ConditionSection = ConditionSection()
    losses: LossSection = LossSection()
    training: TrainingSection = TrainingSection()

    @property
    def needs_parents(self) -> bool:
        """Whether an image is generated from an original: a still, or the frames before it."""
        return self.method in ("gan-frames", "gan-stills")

    @property
    def needs_sequences(self) -> bool:
        """Whether originals are the frames of sequences in their order."""
        return self.method == "gan-frames"

    @model_validator(mode="after")
    def _fits(self) -> SynthesisRecipe:
        if self.method == "gan-stills" and self.image.size_px < 2 * self.condition.sketch_px:
            raise ValueError("condition.sketch_px must be at most half of image.size_px")
        return self


def recipe_names() -> list[str]:
    """Name the recipes of generators that come with sorby."""
    return names_in(recipe_folder(_FOLDER))


def load_recipe(
    name_or_file: str | Path | None = "stills-128", settings: dict[str, Any] | None = None
) -> SynthesisRecipe:
    """Read a generator's recipe by name or file and override single fields, see `sorby.recipe_files.read_recipe`."""
    return read_recipe(SynthesisRecipe, recipe_folder(_FOLDER), name_or_file, settings)


def dump(recipe: SynthesisRecipe) -> str:
    """Return a recipe as YAML, every field written out."""
    return dump_recipe(recipe)
