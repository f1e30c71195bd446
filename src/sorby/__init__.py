"""From a materials image to a verdict somebody can defend."""

from sorby._version import __version__

__all__ = ["__version__"]
