"""The command line: one thin file a command group, see ``sorby --help``."""

from __future__ import annotations

import sys

import click

from sorby._version import __version__
from sorby.cli._frame import LazyGroup, run

COMMANDS = {
    "demo": ("sorby.cli.demo:demo", "The main job on phantoms, start to report, offline."),
    "corpus": ("sorby.cli.corpus:corpus", "Build, audit and scale collections of images."),
    "train": ("sorby.cli.train:train", "Train a classifier from a corpus, a table or a folder per class."),
    "crossval": ("sorby.cli.train:crossval", "k-fold cross-validation, grouped where specimens are known."),
    "tune": ("sorby.cli.tune:tune", "Search a recipe's settings by nested validation; resumable."),
    "refine": ("sorby.cli.refine:refine", "Changes tried against a locked test part, each with its reason in a log."),
    "experiment": ("sorby.cli.experiment:experiment", "Ablations and studies of the methods, each with its page."),
    "paper": ("sorby.cli.paper:paper", "A paper's tables and figures drawn again, published beside ours."),
    "evaluate": (
        "sorby.cli.evaluate:evaluate",
        "Every metric of a bundle on labelled images, with intervals.",
    ),
    "inspect": (
        "sorby.cli.inspect:inspect",
        "Verdicts for images: label, confidence, set, novelty, referral.",
    ),
    "layers": ("sorby.cli.layers:layers", "What every layer of a classifier's network makes of an image."),
    "specimens": ("sorby.cli.specimens:specimens", "Teach one verdict a specimen from all its images, with flags."),
    "anomaly": ("sorby.cli.anomaly:anomaly", "Find what good images do not show: fit, score, evaluate, update."),
    "detect": ("sorby.cli.detect:detect", "Boxes around defects from few labelled images: train, evaluate, base."),
    "line": ("sorby.cli.line:line", "A moving web to a roll map, and the speed that takes."),
    "measure": (
        "sorby.cli.measure:measure",
        "Needles, grains, inclusions, fracture mirrors: sizes from a scale.",
    ),
    "electro": ("sorby.cli.electro:electro", "Polarisation curves and impedance spectra of corroding metals."),
    "study": ("sorby.cli.study:study", "People rating images: round robins, their results, agreement."),
    "synthesize": ("sorby.cli.synthesize:synthesize", "Generated images: teach, sample, check; quality and lineage."),
    "phantom": ("sorby.cli.phantom:phantom", "Synthetic specimens with known truth."),
    "bundle": ("sorby.cli.bundle:bundle", "Show, verify, sign and export a model bundle."),
    "key": ("sorby.cli.key:key", "Signing keys and whom to trust."),
    "record": ("sorby.cli.record:record", "The audit trail: verify, read, copy, anchor."),
    "serve": ("sorby.cli.serve:serve", "The station: pages and REST where people look, decide, rate and sign."),
    "weights": ("sorby.cli.weights:weights", "Pretrained weights at hand."),
    "doctor": ("sorby.cli.doctor:doctor", "Versions, devices, weights, missing parts."),
}


@click.group(cls=LazyGroup, commands_at=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sorby")
def cli() -> None:
    """From a materials image to a verdict somebody can defend.

    Example: sorby train my_images/ --out run && sorby inspect run/bundle.sorby new_images/ --out verdicts
    """


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run(cli))
