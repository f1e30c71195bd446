"""``synthesize``: teach a generator, draw images from it, and say what they are worth."""

from sorby.workflow.synthesis.checking import check
from sorby.workflow.synthesis.sampling import sample
from sorby.workflow.synthesis.teaching import train

__all__ = ["check", "sample", "train"]
