"""What an anomaly detector is made of, as a validated file: every field has a meaning, a range and a default."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sorby.anomaly.embedding import FeatureChoice, GridChoice
from sorby.anomaly.smoothing import Smoothing
from sorby.anomaly.views import Views
from sorby.backbone.preprocessing import Preprocessing
from sorby.recipe_files import dump_recipe, read_recipe, recipe_folder, recipe_names

_FOLDER = "anomaly"


class Section(BaseModel):
    """A recipe section: unknown fields are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BackboneSection(Section):
    """Which feature network, and which of its maps.

    Attributes
    ----------
    name : str
        timm name; ``efficientnet_lite0`` needs no network.
    stages : list of int or None
        Stages of a convolutional network, or blocks of a transformer, as timm counts its intermediate outputs.
    blocks : list of int or None
        Blocks of an EfficientNet counted from 1 instead; 3, 7 and 17 of B4 in Yan et al. (2023).
    weights : {"pretrained", "random"}
        ``random`` only for measuring speed; it is written into the bundle's limits.
    """

    name: str = "efficientnet_lite0"
    stages: tuple[int, ...] | None = (1, 2, 3)
    blocks: tuple[int, ...] | None = None
    weights: Literal["pretrained", "random"] = "pretrained"

    @model_validator(mode="before")
    @classmethod
    def _blocks_alone(cls, values: Any) -> Any:
        """Let blocks take the place of the default stages."""
        if isinstance(values, dict) and values.get("blocks") is not None and "stages" not in values:
            return {**values, "stages": None}
        return values

    @model_validator(mode="after")
    def _one_of_two(self) -> BackboneSection:
        if (self.stages is None) == (self.blocks is None):
            raise ValueError("give either stages or blocks")
        return self


class DensitySection(Section):
    """What is remembered of the good images.

    Attributes
    ----------
    kind : {"position", "pooled", "nearest"}
        ``position``: a Gaussian for each place, for parts that lie the same way in every image. ``pooled``: one
        Gaussian for all places, for webs and textures; works on images of any size. ``nearest``: remembered patches
        (PatchCore).
    epsilon : float
        Added to the diagonal of covariances; .01 in Defard et al. (2021) and Yan et al. (2023).
    capacity : int
        ``nearest``: patches sampled from the good images before the coreset is chosen; bounds the memory.
    patches : int
        ``nearest``: size of the coreset.
    neighbours : int
        ``nearest``: how many of the nearest patches are averaged.
    """

    kind: Literal["position", "pooled", "nearest"] = "position"
    epsilon: float = Field(0.01, gt=0, le=10)
    capacity: int = Field(100_000, ge=10, le=2_000_000)
    patches: int = Field(2_000, ge=1, le=100_000)
    neighbours: int = Field(1, ge=1, le=50)


class ThresholdSection(Section):
    """From which score on an image is called anomalous.

    Attributes
    ----------
    rule : {"auto", "split", "leave-one-out", "f1"}
        ``split``: conformal, on good images that are held out, with a guarantee. ``leave-one-out``: on the images it
        was fitted on, each scored without itself; no image is lost, coverage is shown by simulation only. ``auto``:
        ``split`` where the held-out images suffice for the rate. ``f1``: the pixel threshold of best F1 on labelled
        images (Yan et al. 2023).
    false_alarm_rate : float
        Share of good units that may be called anomalous.
    calibration_share : float
        Share of the good images that ``split`` holds out.
    unit : {"image", "view"}
        What the rate counts: images, or their views (tiles).
    """

    rule: Literal["auto", "split", "leave-one-out", "f1"] = "auto"
    false_alarm_rate: float = Field(0.05, gt=0, lt=0.5)
    calibration_share: float = Field(0.25, gt=0, lt=0.9)
    unit: Literal["image", "view"] = "image"


class AnomalyRecipe(Section):
    """A whole detector, from pixels to threshold."""

    name: str = "anomaly"
    seed: int = Field(0, ge=0, lt=2**32)
    image: Preprocessing = Preprocessing()
    views: Views = Views()
    backbone: BackboneSection = BackboneSection()
    features: FeatureChoice = FeatureChoice()
    grid: GridChoice = GridChoice()
    density: DensitySection = DensitySection()
    smoothing: Smoothing = Smoothing()
    augment: Literal["none", "flips", "turns"] = "none"
    threshold: ThresholdSection = ThresholdSection()

    @model_validator(mode="after")
    def _fits(self) -> AnomalyRecipe:
        if self.augment == "turns" and self.image.height != self.image.width:
            raise ValueError("augment=turns turns images by a quarter and needs image.height = image.width")
        if self.views.kind == "tiles" and self.views.margin_px:
            if self.density.kind == "position":
                raise ValueError("views.margin_px is for densities that do not depend on the place")
            if (self.image.height, self.image.width) != (self.views.tile_px, self.views.tile_px):
                raise ValueError("views.margin_px needs image.height = image.width = views.tile_px")
        if self.image.crops and self.views.kind != "whole":
            raise ValueError("image.region=auto and image.info_bar need views.kind=whole")
        return self


def names() -> list[str]:
    """Name the detector recipes that come with sorby."""
    return recipe_names(recipe_folder(_FOLDER))


def load(name_or_file: str | Path | None = None, settings: dict[str, Any] | None = None) -> AnomalyRecipe:
    """Read a detector recipe by name or file and override single fields, see `sorby.recipe_files.read_recipe`."""
    return read_recipe(AnomalyRecipe, recipe_folder(_FOLDER), name_or_file, settings)


def dump(recipe: AnomalyRecipe) -> str:
    """Return a recipe as YAML, every field written out."""
    return dump_recipe(recipe)
