"""What to train, as a validated file: every field has a meaning, a range and a default."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sorby.recipe_files import dump_recipe, read_recipe, recipe_folder, recipe_names


class Section(BaseModel):
    """A recipe section: unknown fields are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ImageSection(Section):
    """How images become network input; ``auto`` values are decided from the corpus and written into the run.

    Attributes
    ----------
    height, width : int
        Network input in pixels.
    colour : {"auto", "grey", "rgb"}
        ``auto`` is grey where every image is.
    sizing : {"resize", "mirror", "mode", "mean"}
        ``resize`` to height x width; ``mirror``: pad by reflection or crop to height x width. Durmaz et al.'s
        strategies take the size from the corpus: ``mode`` mirror-pads or crops to its most frequent size, ``mean``
        resizes to its mean size.
    intensity : {"full-range", "percentile"}
        Rule for 16-bit and float pixels.
    region : {"whole", "auto"}
        ``auto`` leaves out micron bar, resin, background and bleeding zones first: the largest upright rectangle of
        the region of interest is taken, of the region file ``NAME.region.png`` beside the image where there is one,
        of a proposal otherwise. An image that shows no specimen is set aside.
    info_bar : {"keep", "found", "fixed"}
        ``found`` takes the instrument's info bar off where there is one; ``fixed`` takes 9 % of the rows off the bottom
        of every image, as the published fracture system does.
    """

    height: int = Field(224, ge=16, le=4096)
    width: int = Field(224, ge=16, le=4096)
    colour: Literal["auto", "grey", "rgb"] = "auto"
    sizing: Literal["resize", "mirror", "mode", "mean"] = "resize"
    intensity: Literal["full-range", "percentile"] = "percentile"
    region: Literal["whole", "auto"] = "whole"
    info_bar: Literal["keep", "found", "fixed"] = "keep"


class BackboneSection(Section):
    """Which feature network.

    Attributes
    ----------
    name : str
        timm name, of which ``efficientnet_lite0`` needs no network; or ``bhat-table6``, ``bhat-text``,
        ``bhat-branches``, the published networks for corroding surfaces, which begin from random weights.
    size_name : str, optional
        Another network for the sizes of a staged head; ``name`` then tells subtypes only (Durmaz et al. suggest
        ResNet-50 for the subtype, ResNet-18 for the size).
    pretrained : bool
        False trains from seeded random weights, and the bundle says so.
    stages : tuple of int, optional
        Which stages (of a transformer: blocks) frozen features are pooled from, counted from 0; the last four stages,
        or four blocks evenly spaced to the end, where absent.
    pooling : {"mean+std", "mean", "cls", "cls+mean"}
        What frozen features take of each stage: channel means and standard deviations, means alone, the class token,
        or class token and means. The last two are for vision transformers.
    """

    name: str = "efficientnet_lite0"
    size_name: str | None = None
    pretrained: bool = True
    stages: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(None, min_length=1)
    pooling: Literal["mean+std", "mean", "cls", "cls+mean"] = "mean+std"


class SplitSection(Section):
    """Who is trained on and who is tested.

    Attributes
    ----------
    fractions : tuple of float
        Train, validation and test shares: (.64, .16, .2) as Durmaz et al., (.7, .15, .15) as Schmid et al.
    folds : int
        Folds of ``sorby crossval``.
    group : {"auto", "specimen", "none"}
        ``auto`` keeps specimens whole where the corpus names them; ``none`` splits images and says so.
    stored : {"use", "ignore"}
        Whether ``sorby train`` takes the train, val and test parts that the data state, where they do.
    """

    fractions: tuple[float, float, float] = (0.64, 0.16, 0.2)
    folds: int = Field(5, ge=2, le=100)
    group: Literal["auto", "specimen", "none"] = "auto"
    stored: Literal["use", "ignore"] = "use"

    @model_validator(mode="after")
    def _sum_to_one(self) -> SplitSection:
        train, validation, test = self.fractions
        if abs(train + validation + test - 1) > 1e-6 or validation < 0 or min(train, test) <= 0:
            raise ValueError("fractions must be three shares of 1 with train and test parts above 0")
        return self


class LabelsSection(Section):
    """Which labels are taught, and how far they are believed.

    Attributes
    ----------
    merge : dict
        Labels that count as another one, e.g. ``{G9: G9-10, G10: G9-10}``.
    min_count : int
        Classes with fewer images take no part, and the run says which (Durmaz et al. left out G6, M6, M7 and B6).
    noise : {"none", "confident", "raters"}
        ``confident`` leaves out images whose label cross-fitted probabilities contradict (confident learning,
        Northcutt et al. 2021). ``raters`` shares doubtful images out to the classes that the image and what is
        known of its raters speak for (Raykar et al. 2010); ratings are taken from columns ``rating_...`` and the
        label counts as one more, by the person in column ``rater``.
    rounds : int
        Rounds of ``raters``.
    """

    merge: dict[str, str] = Field(default_factory=dict)
    min_count: int = Field(1, ge=1)
    noise: Literal["none", "confident", "raters"] = "none"
    rounds: int = Field(3, ge=1, le=20)


class HeadSection(Section):
    """What turns features into classes.

    Attributes
    ----------
    kind : {"flat", "staged", "multitask", "ordinal", "length"}
        ``flat``: one score a class, the global model. The others take structure codes apart into subtype and size:
        ``staged``: a classifier for the subtype and one for the sizes of each subtype, trained apart (the two-stage
        model); ``multitask``: the same four tasks on one shared hidden layer, trained together; ``ordinal``: sizes
        as an order, where an error costs by its distance; ``length``: needle lengths are predicted and graded
        through the grade table.
    routing : {"hard", "soft"}
        ``hard``: the most probable subtype decides which sizes are looked at, as published; ``soft``: a class
        scores the product of both probabilities.
    sharing : {"auto", "none", "hard", "cross-stitch"}
        How frozen features are read: straight (``none``), over one hidden layer that all tasks share (``hard``), or
        over two, for subtype and sizes, with learned cross-stitch units between them. ``auto`` is ``none`` for
        ``flat`` and ``staged`` and ``hard`` for the others. A fine-tuned network is itself what tasks share; there
        ``cross-stitch`` trains two.
    hidden : int
        Width of the hidden layer.
    auxiliary : {"none", "length"}
        ``length`` has the head predict needle lengths besides its classes, where the corpus states them.
    length_weight : float
        Weight of the lengths in the loss.
    distance_cost : float
        Of ``ordinal``: weight of the expected distance in grades.
    table : dict, optional
        Fields of the grade table that ``length`` grades through (``classes``, ``mean_um``, ``maximum_um``,
        ``subtype_factor`` ...); sorby's house scale where absent.
    c_grid : tuple of float
        Inverse regularisation strengths tried by inner cross-validation.
    folds : int
        Inner folds; they also give the cross-fitted scores that calibrate.
    magnification : {"none", "log10", "z", "minmax", "raw"}
        Whether a flat head on frozen features reads the image's magnification beside them, and as which number: its
        logarithm, standardised; standardised itself; brought to 0..1 by the taught range; or as it is. The corpus
        states it in column ``magnification``.
    missing_magnification : {"error", "drop"}
        What is done with images that state none: the training ends, or they are left out and counted.
    views : {1, 4, 8}
        Average the features over the image's flips (4) or flips and quarter turns (8): the verdict is then the
        same for a mirrored image, usually a little better, and 4 or 8 times slower.
    output : {"softmax", "sigmoid"}
        Of a flat head on a fine-tuned network: one output a class, or one for two classes, taught by binary
        cross-entropy.
    """

    kind: Literal["flat", "staged", "multitask", "ordinal", "length"] = "flat"
    routing: Literal["hard", "soft"] = "hard"
    sharing: Literal["auto", "none", "hard", "cross-stitch"] = "auto"
    hidden: int = Field(64, ge=2, le=4096)
    auxiliary: Literal["none", "length"] = "none"
    length_weight: float = Field(1.0, gt=0)
    distance_cost: float = Field(0.5, ge=0)
    table: dict[str, Any] | None = None
    c_grid: tuple[Annotated[float, Field(gt=0)], ...] = (1e-3, 1e-2, 3e-2, 1e-1, 1.0)
    magnification: Literal["none", "log10", "z", "minmax", "raw"] = "none"
    missing_magnification: Literal["error", "drop"] = "error"
    views: Literal[1, 4, 8] = 1
    output: Literal["softmax", "sigmoid"] = "softmax"
    folds: int = Field(5, ge=2, le=20)


class BalanceSection(Section):
    """What is done about unequal class counts.

    Attributes
    ----------
    loss : {"plain", "class-weights", "focal"}
        Cross-entropy, cross-entropy weighted by inverse class frequency, or focal loss (Lin et al. 2017).
    sampling : {"plain", "oversample", "weighted"}
        Every image once an epoch; minority images repeated until classes are equal; or draws with
        replacement, probability 1/class count.
    gamma : float
        Focusing parameter of the focal loss.
    """

    loss: Literal["plain", "class-weights", "focal"] = "plain"
    sampling: Literal["plain", "oversample", "weighted"] = "plain"
    gamma: float = Field(2.0, ge=0, le=10)

    @property
    def corrects_twice(self) -> bool:
        """Whether both loss and sampling correct the imbalance (Schmid et al. do; it over-corrects)."""
        return self.loss != "plain" and self.sampling != "plain"


class FinetuneSection(Section):
    """How the whole network is trained.

    Attributes
    ----------
    epochs, batch_size, accumulate : int
        Passes over the data, images a micro-batch, micro-batches whose gradients are summed in one step.
    optimiser : {"adamw", "adam", "sgd", "rmsprop"}
        Adam with decoupled weight decay (betas .9 and .999, epsilon 1e-8), plain Adam, stochastic gradients with
        momentum .9, or RMSprop with rho .9. Outside of AdamW, weight decay is a penalty in the gradient.
    learning_rate, weight_decay : float
        Of the optimiser; biases and norms have no decay.
    layer_decay : float
        Factor on the learning rate from each layer group to the one below it; 1 is one rate for all.
    schedule : {"cosine", "step", "constant"}
        Stepped every optimiser step (cosine) or every ``step_epochs`` epochs by ``step_gamma``.
    schedule_unit : {"step", "micro-batch"}
        What the schedule and its warm-up count. With ``accumulate`` 2 there are two micro-batches a step.
    warmup_steps : int
        Linear rise from a tenth of the rate.
    keep : {"best", "last"}
        Which weights are kept: of the epoch with the best validation macro-F1, or of the last one. ``last`` chooses
        nothing, and the validation part may be empty.
    patience : int
        Epochs without a better validation macro-F1 before the training stops; 0 never stops early.
    drop_path, label_smoothing : float
        Share of residual branches left out, rising with depth (Huang et al. 2016); share of the label given to all
        classes alike.
    patch_drop : float
        Share of patches left out of each training image (Li et al. 2023); of vision transformers only.
    randaugment_ops, randaugment_magnitude : int
        Of the augmentation ``fracture``: operations an image, and their magnitude of 31.
    mixup, cutmix : float
        Parameter of the Beta distribution by which two images of a batch are blended (Zhang et al. 2018) or patched
        (Yun et al. 2019); 0 for neither. The loss is then cross-entropy against the blended labels.
    mix_probability, mix_switch : float
        Share of batches that are mixed; of these, share patched rather than blended where both are on.
    on_collapse : {"warn", "stop"}
        What is done where the validation accuracy (or, without validation images, the training accuracy that
        ``train_metrics=every`` measures) falls and stays down by more than chance explains: it is said in the run, or
        the training ends there as well.
    train_metrics : {"end", "every"}
        When accuracy and macro-F1 of the training part are measured: once with the network that is kept, or after
        every epoch too. Always on the images as they are, each once, in evaluation mode, so that they can be compared
        with those of the validation part.
    calibration_fraction : float
        Share of the training specimens that is kept from training *and* from early stopping to calibrate
        probabilities, sets and novelty.
    precision : {"auto", "fp32", "bf16"}
        ``auto`` is bf16 autocast where the CPU or GPU computes it natively.
    """

    epochs: int = Field(15, ge=1, le=10_000)
    batch_size: int = Field(16, ge=1, le=4096)
    accumulate: int = Field(1, ge=1, le=1024)
    optimiser: Literal["adamw", "adam", "sgd", "rmsprop"] = "adamw"
    learning_rate: float = Field(3e-4, gt=0, lt=1)
    weight_decay: float = Field(0.05, ge=0, le=1)
    layer_decay: float = Field(0.8, gt=0, le=1)
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    schedule_unit: Literal["step", "micro-batch"] = "step"
    warmup_steps: int = Field(50, ge=0)
    step_epochs: int = Field(10, ge=1)
    step_gamma: float = Field(0.1, gt=0, le=1)
    keep: Literal["best", "last"] = "best"
    patience: int = Field(0, ge=0)
    drop_path: float = Field(0.0, ge=0, lt=1)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    patch_drop: float = Field(0.0, ge=0, lt=1)
    randaugment_ops: int = Field(2, ge=1, le=10)
    randaugment_magnitude: int = Field(12, ge=0, le=30)
    mixup: float = Field(0.0, ge=0, le=10)
    cutmix: float = Field(0.0, ge=0, le=10)
    mix_probability: float = Field(1.0, gt=0, le=1)
    mix_switch: float = Field(0.5, ge=0, le=1)
    on_collapse: Literal["warn", "stop"] = "warn"
    train_metrics: Literal["end", "every"] = "end"
    calibration_fraction: float = Field(0.15, gt=0, lt=0.9)
    precision: Literal["auto", "fp32", "bf16"] = "auto"

    @property
    def mixes(self) -> bool:
        """Whether images of a batch are blended or patched together."""
        return self.mixup > 0 or self.cutmix > 0


class VerdictSection(Section):
    """When sorby says "I don't know".

    Attributes
    ----------
    alpha : float
        Miscoverage of the conformal sets.
    sets : {"lac", "aps"}
        Score of the sets.
    class_conditional : bool
        Coverage for each class rather than on average.
    novelty_rate : float
        Share of ordinary images that may be referred as novel.
    """

    alpha: float = Field(0.05, gt=0, lt=0.5)
    sets: Literal["lac", "aps"] = "lac"
    class_conditional: bool = False
    novelty_rate: float = Field(0.01, gt=0, lt=0.5)


class Recipe(Section):
    """A whole training, from pixels to verdict."""

    name: str = "default"
    seed: int = Field(0, ge=0, lt=2**32)
    regime: Literal["frozen", "finetune"] = "frozen"
    image: ImageSection = ImageSection()
    backbone: BackboneSection = BackboneSection()
    split: SplitSection = SplitSection()
    labels: LabelsSection = LabelsSection()
    head: HeadSection = HeadSection()
    balance: BalanceSection = BalanceSection()
    augment: Literal["none", "flips", "steel", "fracture", "corrosion"] = "flips"
    finetune: FinetuneSection = FinetuneSection()
    verdict: VerdictSection = VerdictSection()

    @model_validator(mode="after")
    def _regime_fits(self) -> Recipe:
        if self.regime == "frozen" and (self.balance.loss == "focal" or self.balance.sampling == "weighted"):
            raise ValueError("the frozen regime knows balance.loss plain or class-weights and no weighted sampling")
        if self.finetune.mixes and self.balance.loss == "focal":
            raise ValueError(
                "finetune.mixup and finetune.cutmix blend labels, which balance.loss=focal does not know; use plain"
            )
        if self.finetune.mixes and self.head.kind != "flat":
            raise ValueError("finetune.mixup and finetune.cutmix need head.kind=flat")
        if self.head.kind == "staged" and self.head.sharing not in ("auto", "none"):
            raise ValueError("head.kind=staged trains its stages apart and shares nothing; head.kind=multitask shares")
        if self.head.kind == "flat" and self.head.sharing == "cross-stitch":
            raise ValueError("head.sharing=cross-stitch needs two tasks; head.kind=flat has one")
        if self.head.output == "sigmoid" and (self.regime != "finetune" or self.head.kind != "flat"):
            raise ValueError("head.output=sigmoid is of a flat head on a fine-tuned network; a frozen head has softmax")
        if self.finetune.keep == "last" and self.finetune.patience:
            raise ValueError("finetune.patience waits for a better validation score, which finetune.keep=last ignores")
        if self.finetune.keep == "last" and self.finetune.on_collapse == "stop":
            raise ValueError("finetune.on_collapse=stop with finetune.keep=last would keep the collapsed network")
        if self.head.magnification != "none" and self.regime != "frozen":
            raise ValueError("head.magnification reads frozen features; use regime=frozen")
        if self.head.magnification != "none" and (
            self.head.kind != "flat" or self.head.sharing not in ("auto", "none") or self.head.auxiliary != "none"
        ):
            raise ValueError("head.magnification needs head.kind=flat without head.sharing and head.auxiliary")
        if self.backbone.size_name and self.backbone.stages:
            raise ValueError("backbone.stages belong to one network; leave out backbone.size_name")
        if self.backbone.size_name and self.head.kind != "staged":
            raise ValueError("backbone.size_name needs head.kind=staged")
        if self.backbone.size_name and self.head.auxiliary != "none":
            raise ValueError("backbone.size_name keeps stages apart and knows no head.auxiliary")
        if self.head.auxiliary == "length" and self.head.kind in ("flat", "staged") and self.regime == "finetune":
            raise ValueError("head.auxiliary=length needs head.kind=multitask, ordinal or length when fine-tuning")
        if self.head.views == 8 and (self.image.height != self.image.width or self.image.sizing in ("mode", "mean")):
            raise ValueError("head.views=8 turns images by a quarter and needs image.height = image.width")
        return self


def names() -> list[str]:
    """Name the classifier recipes that come with sorby."""
    return recipe_names(recipe_folder())


def load(name_or_file: str | Path | None = None, settings: dict[str, Any] | None = None) -> Recipe:
    """Read a classifier recipe by name or file and override single fields, see `sorby.recipe_files.read_recipe`."""
    return read_recipe(Recipe, recipe_folder(), name_or_file, settings)


def changed(recipe: Recipe, settings: dict[str, Any]) -> Recipe:
    """Return a recipe with single fields (``section.field``) changed and everything checked again.

    Raises
    ------
    InputError
        A field is unknown or out of range, or does not go with the others.
    """
    content = recipe.model_dump(mode="json")
    flat = {
        f"{section}.{key}": value
        for section, fields in content.items()
        if isinstance(fields, dict)
        for key, value in fields.items()
    }
    flat |= {key: value for key, value in content.items() if not isinstance(value, dict)}
    return load(None, {**flat, **settings})


def dump(recipe: Recipe) -> str:
    """Return a recipe as YAML, every field written out."""
    return dump_recipe(recipe)
