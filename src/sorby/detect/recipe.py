"""What a box detector is made of and how it is taught, as a validated file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from sorby.recipe_files import dump_recipe, read_recipe, recipe_folder, recipe_names

_FOLDER = "detect"

Stage = Literal["backbone", "pyramid", "rpn", "box_head"]
STAGES: tuple[Stage, ...] = ("backbone", "pyramid", "rpn", "box_head")
"""Parts of the network in the order of the data; the predictor behind them is always taught."""


class Section(BaseModel):
    """A recipe section: unknown fields are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ImageSection(Section):
    """How a micrograph becomes the network's pixels; its aspect is kept.

    Attributes
    ----------
    short_side : int
        Pixels that the shorter side is scaled to; 800 in Yan et al. (2023).
    long_side : int
        The longer side is never above it, the shorter then being smaller.
    colour : {"grey", "rgb"}
    tile_px : int or None
        Edge of square tiles, in pixels of the micrograph, that larger images are cut into; each is scaled by itself.
    overlap_px : int
        What neighbouring tiles share; at least the size of the small defects, so that one of two shows them whole.
    """

    short_side: int = Field(256, ge=64, le=2048)
    long_side: int = Field(1024, ge=64, le=4096)
    colour: Literal["grey", "rgb"] = "grey"
    tile_px: int | None = Field(None, ge=32, le=4096)
    overlap_px: int = Field(64, ge=0, le=2048)

    @model_validator(mode="after")
    def _fits(self) -> ImageSection:
        if self.long_side < self.short_side:
            raise ValueError("image.long_side must not be below image.short_side")
        if self.tile_px is not None and 2 * self.overlap_px > self.tile_px:
            raise ValueError("image.overlap_px must be at most half of image.tile_px")
        return self

    @property
    def channels(self) -> int:
        """Channels of the network's input, 1 or 3."""
        return 1 if self.colour == "grey" else 3


class BackboneSection(Section):
    """The feature network below the pyramid.

    Attributes
    ----------
    name : str
        timm name of a convolutional network; ``efficientnet_lite0`` needs no network connection.
    weights : {"pretrained", "random"}
        ``random`` only for measuring speed; it is written into the bundle's limits.
    """

    name: str = "efficientnet_lite0"
    weights: Literal["pretrained", "random"] = "pretrained"


class PyramidSection(Section):
    """Feature pyramid (Lin et al. 2017) over strides 4 to 32, with a level of stride 64 by subsampling.

    Attributes
    ----------
    channels : int
        Of every level; 256 as published, fewer for a light backbone.
    """

    channels: int = Field(96, ge=8, le=512)


class AnchorSection(Section):
    """Boxes that the proposal network starts from.

    Attributes
    ----------
    sizes : list of float
        Edge of the square anchor of each level, stride 4 first, in pixels of the network's input; 32 to 512 as
        published. Smaller ones suit tiny defects.
    ratios : list of float
        Height to width; .5, 1, 2 as published. Scratches are twenty times as long as wide: with the default, a box as
        slender as that still overlaps the anchor of its area by .55.
    """

    sizes: tuple[float, float, float, float, float] = (12, 28, 64, 128, 224)
    ratios: tuple[float, ...] = (0.1, 0.32, 1.0, 3.2, 10.0)

    @field_validator("sizes", "ratios")
    @classmethod
    def _positive(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if not values or min(values) <= 0:
            raise ValueError("must hold numbers above 0")
        return values


class ProposalSection(Section):
    """Region proposals (Ren et al. 2015).

    Attributes
    ----------
    train, test : int
        Kept of an image after suppression.
    before : int
        Kept of each level before suppression.
    overlap : float
        Intersection over union above which the weaker proposal goes.
    """

    train: int = Field(200, ge=10, le=2000)
    test: int = Field(100, ge=1, le=2000)
    before: int = Field(200, ge=10, le=6000)
    overlap: float = Field(0.7, gt=0, lt=1)


class BoxSection(Section):
    """What looks at each proposal.

    Attributes
    ----------
    pool : int
        Cells across a pooled proposal.
    width : int
        Of the two hidden layers; 1024 as published.
    classifier : {"cosine", "linear"}
        ``cosine``: scaled cosine similarity to one weight vector a class (Wang et al. 2020).
    scale : float
        Of the cosine; 20 as published.
    regression : {"agnostic", "per-class"}
        One box for all classes, or one a class as published. With few examples, what all classes share is learnt
        better.
    describe : {"head", "texture", "context"}
        What the classifier reads of a proposal: ``head``, the hidden layers, as published; ``texture``, also mean and
        deviation of the backbone's own maps inside it, which the base training leaves as they were; ``context``,
        also those of the surroundings, three times as wide.
    merge : dict of str to str
        Classes that are taught as one: ``{scratch: mark, scuff: mark}``.
    """

    pool: int = Field(7, ge=1, le=14)
    width: int = Field(512, ge=16, le=4096)
    classifier: Literal["cosine", "linear"] = "cosine"
    scale: float = Field(20.0, gt=0, le=200)
    regression: Literal["agnostic", "per-class"] = "agnostic"
    describe: Literal["head", "texture", "context"] = "head"
    merge: dict[str, str] = Field(default_factory=dict)


class OutputSection(Section):
    """What is reported.

    Attributes
    ----------
    score : float
        Least score of a finding in evaluation; a threshold for use is set on examples and stored with the detector.
    overlap : float
        Intersection over union above which the weaker of two findings of a class goes.
    across_classes : bool
        Suppress across classes as well: one place, one name.
    most : int
        Findings of an image at most.
    views : {1, 2, 4}
        Also look at each image mirrored, left and right (2), up and down as well (4), and keep what is surest. It
        finds more, at so many times the work; what few examples taught gains most.
    """

    score: float = Field(0.02, ge=0, lt=1)
    overlap: float = Field(0.5, gt=0, lt=1)
    across_classes: bool = False
    most: int = Field(100, ge=1, le=2000)
    views: Literal[1, 2, 4] = 1


class TeachingSection(Section):
    """Teaching by gradients through what is not frozen.

    Attributes
    ----------
    base : str or None
        What the network starts from: a bundle, ``phantom`` (the detector taught on phantoms, made once and kept), or
        None: the pretrained backbone alone.
    freeze : list of {"backbone", "pyramid", "rpn", "box_head"}
        Parts that stay as they are. With all four, few-shot fine-tuning: their results are computed once and only the
        predictor is taught.
    optimiser : {"sgd", "adamw"}
    learning_rate, momentum, weight_decay : float
        SGD at .001, .9, 1e-4 as published (batch 16).
    batch : int
        Images a step.
    steps : int
    milestones : list of float
        Shares of the steps after which the rate falls tenfold; empty for a cosine to zero.
    warmup : int
        Steps until the full rate.
    flips, turns : bool
        Mirror images; turn them by quarters.
    scales : (float, float)
        Range that the short side is drawn from, as a factor; 480 to 800 of 800 px as published.
    lighting : float
        Largest change of contrast and brightness, as a share.
    """

    base: str | None = None
    freeze: tuple[Stage, ...] = ("backbone",)
    optimiser: Literal["sgd", "adamw"] = "adamw"
    learning_rate: float = Field(1e-3, gt=0, le=1)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(1e-4, ge=0, le=1)
    batch: int = Field(8, ge=1, le=64)
    steps: int = Field(1500, ge=1, le=200_000)
    milestones: tuple[float, ...] = ()
    warmup: int = Field(50, ge=0, le=10_000)
    flips: bool = True
    turns: bool = False
    scales: tuple[float, float] = (0.8, 1.25)
    lighting: float = Field(0.2, ge=0, lt=1)
    precision: Literal["auto", "fp32", "bf16"] = "auto"

    @model_validator(mode="after")
    def _fits(self) -> TeachingSection:
        if not 0 < self.scales[0] <= self.scales[1] <= 4:
            raise ValueError("teaching.scales must be a rising pair within 0 to 4")
        if any(not 0 < share < 1 for share in self.milestones):
            raise ValueError("teaching.milestones are shares of the steps, between 0 and 1")
        # A part that is taught changes what all later parts see: freezing only those would freeze them to noise.
        return self

    @property
    def all_frozen(self) -> bool:
        """Whether only the predictor is taught."""
        return set(self.freeze) == set(STAGES)


class FewShotSection(Section):
    """What few examples teach, behind frozen stages.

    Attributes
    ----------
    classes : {"novel", "all"}
        ``novel``: a predictor for the new classes alone. ``all``: for the base classes as well, kept from forgetting
        by examples that the base detector stores (TFA's configuration; Yan et al. 2023 leave open which they used).
    regressor : {"kept", "random"}
        Start of the box regression: the base detector's, or random numbers as published.
    views : {1, 2, 4, 8}
        Each image also mirrored (2, 4) and turned (8).
    jitter : int
        Shifted copies of each labelled box that are looked at beside the proposals.
    steps : int
    learning_rate : float
    weight_decay : float
    background : float
        Weight of proposals that show nothing, all together, against those that show something.
    """

    classes: Literal["novel", "all"] = "novel"
    regressor: Literal["kept", "random"] = "kept"
    views: Literal[1, 2, 4, 8] = 4
    jitter: int = Field(4, ge=0, le=200)
    steps: int = Field(300, ge=1, le=50_000)
    learning_rate: float = Field(0.02, gt=0, le=1)
    weight_decay: float = Field(1e-3, ge=0, le=1)
    background: float = Field(1.0, gt=0, le=20)


class DetectRecipe(Section):
    """A whole detector, from pixels to boxes, and its teaching."""

    name: str = "detect"
    seed: int = Field(0, ge=0, lt=2**32)
    image: ImageSection = ImageSection()
    backbone: BackboneSection = BackboneSection()
    pyramid: PyramidSection = PyramidSection()
    anchors: AnchorSection = AnchorSection()
    proposals: ProposalSection = ProposalSection()
    box: BoxSection = BoxSection()
    output: OutputSection = OutputSection()
    teaching: TeachingSection = TeachingSection()
    few_shot: FewShotSection = FewShotSection()

    def shape(self) -> dict[str, Any]:
        """Return the fields that fix the shape of the stages: two detectors that share stages agree in them."""
        return {
            "colour": self.image.colour,
            "backbone": self.backbone.name,
            "pyramid": self.pyramid.channels,
            "anchors": self.anchors.model_dump(mode="json"),
            "pool": self.box.pool,
            "width": self.box.width,
        }


def names() -> list[str]:
    """Name the detector recipes that come with sorby."""
    return recipe_names(recipe_folder(_FOLDER))


def load(name_or_file: str | Path | None = None, settings: dict[str, Any] | None = None) -> DetectRecipe:
    """Read a detector recipe by name or file and override single fields, see `sorby.recipe_files.read_recipe`."""
    return read_recipe(DetectRecipe, recipe_folder(_FOLDER), name_or_file, settings)


def dump(recipe: DetectRecipe) -> str:
    """Return a recipe as YAML, every field written out."""
    return dump_recipe(recipe)
