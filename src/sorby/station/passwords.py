"""Passwords: what one must be like, and argon2id.

References
----------
RFC 9106, Argon2 Memory-Hard Function for Password Hashing. NIST SP 800-63B: length counts, composition rules do not.
"""

from __future__ import annotations

import functools
import secrets
import string
import threading
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from sorby.errors import InputError

MIN_LENGTH, MAX_LENGTH = 12, 200
_DISTINCT = 5  # "aaaaaaaaaaaa" and "121212121212" are no passwords
_HASHER = PasswordHasher()  # the library's defaults are RFC 9106's second recommendation, 64 MiB
_AT_ONCE = threading.BoundedSemaphore(2)  # 64 MiB each: a crowd at the door must not eat the memory


def check_password(password: str, name: str) -> None:
    """Refuse a password that is too easy.

    Raises
    ------
    InputError
        Shorter than 12 characters, of fewer than five different ones, or the name in it.
    """
    text = _normal(password)
    if len(text) < MIN_LENGTH:
        raise InputError(f"a password has {MIN_LENGTH} characters or more", "a few words that only you would combine")
    if len(text) > MAX_LENGTH:
        raise InputError(f"a password has at most {MAX_LENGTH} characters", "a shorter one")
    if len(set(text.casefold())) < _DISTINCT:
        raise InputError(f"a password has {_DISTINCT} different characters or more", "another one")
    if name.casefold() in text.casefold():
        raise InputError("the password holds your name", "another one")


def random_password() -> str:
    """Return a password of 20 letters and digits, about 119 bits, for somebody's first sign-in."""
    alphabet = string.ascii_letters + string.digits
    return "-".join("".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(4))


def hash_password(password: str) -> str:
    """Return the argon2id hash with its salt and parameters, as text."""
    with _AT_ONCE:
        return _HASHER.hash(_normal(password))


def verify_password(stored: str | None, password: str) -> bool:
    """Whether *password* is the one that was *stored*; with nothing stored it takes as long and is wrong."""
    known = stored is not None
    try:
        with _AT_ONCE:
            _HASHER.verify(stored if stored is not None else _nobodys(), _normal(password[: MAX_LENGTH + 1]))
    except (VerificationError, InvalidHashError):
        return False
    return known


def _normal(password: str) -> str:
    # The same letters typed on another keyboard may come in another composition.
    return unicodedata.normalize("NFKC", password)


@functools.cache
def _nobodys() -> str:
    """Return a hash that unknown names are compared with, so that their answer takes as long."""
    return _HASHER.hash(secrets.token_urlsafe(24))
