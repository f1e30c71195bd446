"""The columns of a corpus: one row an image."""

from __future__ import annotations

FORMAT = "1"
"""Version of the stored table; a newer one is refused."""

COLUMNS: dict[str, str] = {
    "path": "where the image lies, relative to the corpus's root, with forward slashes",
    "sha256": "hash of the file's content; empty where it could not be read",
    "bytes": "size of the file",
    "width": "pixels",
    "height": "pixels",
    "mode": "channels and depth, e.g. grey8, rgb16",
    "phash": "64-bit perceptual hash, 16 hexadecimal digits",
    "label": "class, as text",
    "specimen": "physical specimen; its images stay together in every split",
    "label_source": "who or what gave the label",
    "criterion": "by which criterion it was graded, e.g. mean or maximum",
    "magnification": "nominal",
    "pixel_size_um": "edge of a pixel on the specimen in micrometres",
    "scale_source": "where the pixel size comes from",
    "plant": "site",
    "instrument": "microscope",
    "rater": "person who rated",
    "date": "of the image",
    "split": "train, val or test",
    "fold": "test fold, from 0; -1 where the row takes no part",
    "mask": "where the mask of the image lies, as for path",
    "boxes": "labelled boxes on the image as JSON; [] where there is nothing, empty where nobody has looked",
    "exclusion": "why the row takes no part; empty where it does",
}
"""Known columns and what they hold; every other column of a table is kept as it is."""

TEXT = (
    "path",
    "sha256",
    "mode",
    "phash",
    "label",
    "specimen",
    "label_source",
    "criterion",
    "scale_source",
    "plant",
    "instrument",
    "rater",
    "date",
    "mask",
    "boxes",
    "split",
    "exclusion",
)
"""Known columns that hold text even where they look like numbers."""

MEASURED = ("sha256", "bytes", "width", "height", "mode", "phash")
"""Columns read from the file itself; what a user's table says under these names gives way."""
