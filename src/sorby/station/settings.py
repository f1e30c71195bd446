"""What the one who serves a station decides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Settings of a station.

    Attributes
    ----------
    home : Path
        Folder of store, keys, anchors and, unless another database is given, the database.
    public_url : str
        How browsers reach the station; stands in invitation links and on certificates.
    anchors : Path or None
        File to which the head of the record is appended; by default ``anchors.jsonl`` in *home*. On another drive or
        share it protects more.
    idle_s, session_s : float
        A session ends after so long without a request, and after so long in any case.
    anchor_s : float
        How often the head is anchored where the record has grown.
    body_bytes : int
        Largest body of a request that is no upload.
    requests_per_s : float
        Of one address, over a longer time; ten seconds' worth may come at once. A page with an image asks for dozens
        of tiles, and a laboratory may share one address.
    upload_bytes, upload_pixels : int
        Largest image file, and the largest image in it.
    """

    home: Path
    public_url: str = "http://127.0.0.1:8600"
    anchors: Path | None = None
    idle_s: float = 1800.0
    session_s: float = 12 * 3600.0
    anchor_s: float = 60.0
    body_bytes: int = 4 << 20
    requests_per_s: float = 200.0
    upload_bytes: int = 1 << 30
    upload_pixels: int = 400_000_000

    @property
    def secure(self) -> bool:
        """Whether browsers reach the station by HTTPS, so that cookies go over nothing else."""
        return self.public_url.startswith("https://")

    @property
    def anchor_file(self) -> Path:
        """Where anchors are appended."""
        return self.anchors if self.anchors is not None else self.home / "anchors.jsonl"
