"""Classifiers: recipes, the frozen and the fine-tuned regime, and verdicts."""

from sorby.bundle import register_loader
from sorby.classify.classifier import KIND, Classifier
from sorby.classify.judge import REASONS, Judge, Verdicts
from sorby.classify.recipe import Recipe
from sorby.classify.verdict import Verdict

register_loader(KIND, "sorby.classify.classifier:load_bundle")

__all__ = ["KIND", "REASONS", "Classifier", "Judge", "Recipe", "Verdict", "Verdicts"]
