"""``sorby specimens``: teach one verdict a specimen on a classifier's features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.classify.specimens import METHODS, Method
from sorby.cli._frame import reports
from sorby.cli._options import column_options, device_option, signed_option


def _show(result: dict[str, Any]) -> str:
    found = result["cross_fitted"]
    lines = [
        f"{result['n_specimens']} specimens, {result['n_images']} images; {result['method']}: {result['meaning']}",
        f"cross-fitted: accuracy {found['accuracy']['value']:.3f}, macro-F1 {found['macro_f1']['value']:.3f}, "
        f"{found['set_size']:.2f} classes in the set",
    ]
    rare = result["rare_class"]
    if rare and rare["attained"]:
        lines.append(
            f"{rare['class']}: called from {rare['threshold']:.2f}, cross-fitted precision"
            f" {rare['precision']['value']:.2f}, recall {rare['recall']['value']:.2f} instead of"
            f" {rare['recall_without']['value']:.2f}"
        )
    lines += [
        f"{code}: finds {found['sensitivity']['value']:.2f} of such pictures, spares"
        f" {found['specificity']['value']:.2f} of the others"
        for code, found in result["taught_flags"].items()
    ]
    return "\n".join([*lines, *(f"note      {line}" for line in result["warnings"]), f"bundle    {result['bundle']}"])


@click.command("specimens")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The new bundle, a .sorby file.")
@click.option("--method", type=click.Choice(METHODS), default="attention", show_default=True,
              help="How the images of a specimen are put together.")  # fmt: skip
@click.option("--alpha", type=click.FloatRange(0, 0.5, min_open=True, max_open=True), default=0.1, show_default=True,
              help="Miscoverage of the sets.")  # fmt: skip
@click.option("--rare-class", metavar="CLASS", help="Call it only where a wanted precision is reached.")
@click.option("--rare-precision", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.9,
              show_default=True, help="That precision.")  # fmt: skip
@click.option("--rare-confidence", type=click.FloatRange(0, 1, min_open=True, max_open=True),
              help="Show it with this confidence, for cross-fitted probabilities; the model that gives verdicts is"
                   " taught on all specimens. Otherwise it only held on the calibration specimens.")  # fmt: skip
@click.option("--expert-class", "expert_classes", multiple=True, metavar="CLASS",
              help="Refer verdicts of it from low magnification alone; may be repeated.")  # fmt: skip
@click.option("--low-magnification", type=click.FloatRange(min=0, min_open=True), default=250.0, show_default=True,
              help="Up to it a magnification counts as low.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@column_options
@signed_option
@device_option
@reports(_show)
def specimens(
    bundle: Path,
    data: Path,
    out: Path,
    method: Method,
    alpha: float,
    rare_class: str | None,
    rare_precision: float,
    rare_confidence: float | None,
    expert_classes: tuple[str, ...],
    low_magnification: float,
    seed: int,
    label: str | None,
    group: str | None,
    image: str | None,
    require_signed: bool,
    device: Any,
) -> dict[str, Any]:
    """Teach the verdict on specimens on the features of the classifier BUNDLE with the specimens of DATA.

    Use it with: sorby inspect BUNDLE FOLDER --by-specimen folder --specimen-judge FILE.

    Example: sorby specimens run/bundle.sorby corpus.parquet --rare-class material --out specimens.sorby
    """
    from sorby.workflow.specimens.teaching import Teaching, teach_specimens

    teaching = Teaching(
        method,
        alpha,
        rare_class,
        rare_precision,
        rare_confidence,
        expert_classes,
        low_magnification,
        seed,
    )
    return teach_specimens(
        bundle,
        data,
        out,
        teaching,
        label=label,
        group=group,
        image=image,
        require_signed=require_signed,
        device=device,
    )
