"""What can go wrong, said in one line: what, where, what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path


class SorbyError(Exception):
    """Base of every error that sorby raises on purpose.

    Parameters
    ----------
    message : str
        What is wrong and where; one line.
    hint : str, optional
        What the user can do about it; one line.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(SorbyError):
    """The request or an input is wrong; the user can mend it (exit code 2)."""

    exit_code = 2


class ImageError(InputError):
    """One image cannot be read or used; the others can."""


class BundleError(InputError):
    """A bundle is damaged, tampered with, too new, or not signed as demanded."""


class MissingPartError(InputError):
    """An optional part or a pretrained weight file is not installed."""


class SorbyWarning(UserWarning):
    """Something the result must say about itself."""


@dataclass(frozen=True)
class Quarantined:
    """A file that was set aside, and why; the good files went on.

    Attributes
    ----------
    file : str
        The path as the user gave or would find it.
    reason : str
        One line: what is wrong with it.
    """

    file: str
    reason: str

    @classmethod
    def from_error(cls, file: Path | str, error: SorbyError) -> Quarantined:
        """Set *file* aside because of *error*; its message need not name the file again."""
        return cls(str(file), error.message.removeprefix(f"{file}: "))

    def as_dict(self) -> dict[str, str]:
        """Return ``{"file": ..., "reason": ...}``."""
        return asdict(self)
