"""Files by their content: an image, a bundle or a picture is kept once, under its SHA-256, and never changed."""

from sorby.station.store.content import Store, Stored, TooLarge

__all__ = ["Store", "Stored", "TooLarge"]
