"""Ed25519 keys: making a pair, and the list of public keys this user trusts.

A key file is PEM with a line ``Name: ...`` before it. Trust lives in the user's configuration
folder, one small file a key, or under ``SORBY_HOME`` where that is set.
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import platformdirs
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sorby.bundle import canonical
from sorby.errors import BundleError, InputError
from sorby.files import atomic_write, sha256_bytes

_PEM = re.compile(rb"-----BEGIN ([A-Z ]+)-----\s.*?-----END \1-----", re.DOTALL)
_NAME = re.compile(rb"^Name: (.+?)\s*$", re.MULTILINE)
_MAX_KEY_FILE = 64 << 10
_HEX_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class SigningKey:
    """A private key and the name its owner signs under."""

    name: str
    private: Ed25519PrivateKey

    @property
    def public_key(self) -> str:
        """The raw public key, 64 hexadecimal digits."""
        return _raw(self.private.public_key())


@dataclass(frozen=True)
class NewKey:
    """A pair just made: where its files are, and the fingerprint to tell others by another way."""

    name: str
    fingerprint: str
    private_file: Path
    public_file: Path


@dataclass(frozen=True)
class TrustedKey:
    """A public key (64 hexadecimal digits), the name this user gave it, and since when."""

    name: str
    public_key: str
    trusted_at: str

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the raw public key."""
        return fingerprint(self.public_key)


def home() -> Path:
    """Return sorby's configuration folder: ``SORBY_HOME``, or the system's place for it."""
    chosen = os.environ.get("SORBY_HOME")
    return Path(chosen) if chosen else platformdirs.user_config_path("sorby", appauthor=False)


def fingerprint(public_key: str) -> str:
    """Return the SHA-256 of a raw public key given as 64 hexadecimal digits."""
    return sha256_bytes(bytes.fromhex(public_key))


def new_key(
    name: str,
    out: Path | str | None = None,
    *,
    passphrase: bytes | None = None,
    inside_repository: bool = False,
) -> NewKey:
    """Make a key pair: *out* (PEM PKCS8, mode 0600 where the system has modes) and *out* ``.pub``.

    Parameters
    ----------
    name : str
        Who signs; one line.
    out : Path or str, optional
        The private key's file; by default ``keys/<name>.pem`` in `home`.
    passphrase : bytes, optional
        Encrypts the private key.
    inside_repository : bool
        Allow a place inside a git checkout, from where a key is easily published by mistake.

    Raises
    ------
    InputError
        A file is there already (a key is never overwritten), the place is inside a git
        checkout, the name is unfit, or the place cannot be written.
    """
    name = _checked_name(name)
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "key"
    private_file = Path(out) if out is not None else home() / "keys" / f"{slug}.pem"
    public_file = private_file.with_name(private_file.name + ".pub")
    for file in (private_file, public_file):
        if file.exists() or file.is_symlink():
            raise InputError(f"{file}: exists; a key is never overwritten", "choose another --out")
    checkout = _checkout_around(private_file)
    if checkout is not None and not inside_repository:
        raise InputError(
            f"{private_file}: lies inside the repository {checkout}, where a private key may be published",
            "choose another --out, or say --inside-repository",
        )
    if passphrase is not None and not passphrase:
        raise InputError("the passphrase is empty", "give one, or leave the option out")
    private = Ed25519PrivateKey.generate()
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    secret = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    heading = f"Name: {name}\n".encode()
    _write_new(private_file, heading + secret, 0o600)
    try:
        _write_new(public_file, heading + public, 0o644)
    except InputError:
        private_file.unlink(missing_ok=True)
        raise
    return NewKey(name, fingerprint(_raw(private.public_key())), private_file, public_file)


def is_encrypted(path: Path | str) -> bool:
    """Say whether the private key file asks for a passphrase."""
    _, pem = _pem_block(Path(path))
    return b"ENCRYPTED" in pem.splitlines()[0]


def load_private_key(path: Path | str, passphrase: bytes | None = None, *, name: str | None = None) -> SigningKey:
    """Read a private key to sign with.

    Parameters
    ----------
    path : Path or str
        PEM file, PKCS8, Ed25519.
    passphrase : bytes, optional
        Needed when the key is encrypted.
    name : str, optional
        The signer's name; by default the one in the file.

    Raises
    ------
    InputError
        Not such a file, the wrong passphrase, or no name.
    """
    path = Path(path)
    text, pem = _pem_block(path)
    if is_encrypted(path) and not passphrase:
        raise InputError(f"{path}: the key is encrypted", "give its passphrase (SORBY_KEY_PASSPHRASE)")
    try:
        private = serialization.load_pem_private_key(pem, passphrase if is_encrypted(path) else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        reason = "wrong passphrase, or damaged" if is_encrypted(path) else "not a private key"
        raise InputError(f"{path}: {reason}", "give the .pem file that `sorby key new` wrote") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise InputError(f"{path}: not an Ed25519 key", "make one with `sorby key new`")
    found = name or _name_in(text)
    if not found:
        raise InputError(f"{path}: names no signer", "say who signs (--signer NAME)")
    return SigningKey(_checked_name(found), private)


def load_public_key(path: Path | str) -> tuple[str, str | None]:
    """Read a public key file; return the raw key (64 hexadecimal digits) and the name it claims.

    Raises
    ------
    InputError
        Not an Ed25519 public key; a private key given by mistake is named as such.
    """
    path = Path(path)
    text, pem = _pem_block(path)
    if b"PRIVATE KEY" in pem.splitlines()[0]:
        raise InputError(f"{path}: is a private key", "trust the .pub file beside it; keep this one secret")
    try:
        public = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(f"{path}: not a public key", "give the .pub file that `sorby key new` wrote") from error
    if not isinstance(public, Ed25519PublicKey):
        raise InputError(f"{path}: not an Ed25519 key", "sorby signs with Ed25519 only")
    return _raw(public), _name_in(text)


def trust(path: Path | str, name: str | None = None) -> TrustedKey:
    """Trust the public key in *path* under *name* (by default the name in the file).

    Raises
    ------
    InputError
        Not a public key, no name, or the name already means another key.
    """
    public_key, claimed = load_public_key(path)
    chosen = name or claimed
    if not chosen:
        raise InputError(f"{path}: names no signer", "say whose key it is (--as NAME)")
    key = TrustedKey(_checked_name(chosen), public_key, datetime.now(UTC).isoformat(timespec="seconds"))
    for other in trusted_keys().values():
        if other.name.casefold() == key.name.casefold() and other.public_key != public_key:
            raise InputError(
                f"'{key.name}' already names the trusted key {other.fingerprint[:16]}",
                "choose another --as, or untrust the old key first",
            )
    with atomic_write(_trust_folder() / f"{key.fingerprint}.json") as file:
        file.write(canonical.encode(asdict(key)))
    return key


def untrust(name_or_fingerprint: str) -> TrustedKey:
    """Stop trusting a key, named by its name, fingerprint, or the fingerprint's first 8 or more digits.

    Raises
    ------
    InputError
        No such key is trusted, or several are meant.
    """
    wanted = name_or_fingerprint.strip()
    found = [
        key
        for key in trusted_keys().values()
        if key.name.casefold() == wanted.casefold() or (len(wanted) >= 8 and key.fingerprint.startswith(wanted.lower()))
    ]
    if len(found) != 1:
        count = "no trusted key is" if not found else f"{len(found)} trusted keys are"
        raise InputError(f"{count} called '{canonical.printable(wanted)}'", "see `sorby key list`")
    (_trust_folder() / f"{found[0].fingerprint}.json").unlink()
    return found[0]


def trusted_keys() -> dict[str, TrustedKey]:
    """Return the trusted keys by fingerprint, in the order of their names.

    Raises
    ------
    InputError
        A file of the list is damaged; guessing here would be guessing about trust.
    """
    folder = _trust_folder()
    found = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        try:
            value = canonical.decode(path.read_bytes(), path.name)
            key = TrustedKey(value["name"], value["public_key"], value["trusted_at"])
            sound = _HEX_KEY.fullmatch(key.public_key) is not None and path.stem == key.fingerprint
            _checked_name(key.name)
        except (BundleError, InputError, OSError, KeyError, TypeError) as error:
            raise InputError(f"{path}: not a trusted key", "remove this file, then trust the key again") from error
        if not sound:
            raise InputError(f"{path}: does not match its key", "remove this file, then trust the key again")
        found.append(key)
    return {key.fingerprint: key for key in sorted(found, key=lambda key: key.name.casefold())}


def _trust_folder() -> Path:
    return home() / "trusted"


def _raw(public: Ed25519PublicKey) -> str:
    return public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()


def _checked_name(name: str) -> str:
    name = name.strip()
    if not 0 < len(name) <= 200 or not name.isprintable():
        raise InputError("a signer's name is one line of 1 to 200 characters", "for example --name 'Jane Doe'")
    return name


def _name_in(text: bytes) -> str | None:
    match = _NAME.search(text)
    return match[1].decode("utf-8", errors="replace") if match else None


def _pem_block(path: Path) -> tuple[bytes, bytes]:
    """Return the text before the first PEM block, and the block."""
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_KEY_FILE)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})", "give a key file") from error
    match = _PEM.search(data)
    if match is None:
        raise InputError(f"{path}: not a key file (no PEM block)", "make a key with `sorby key new`")
    return data[: match.start()], match[0] + b"\n"


def _checkout_around(path: Path) -> Path | None:
    for folder in path.absolute().resolve().parents:
        if (folder / ".git").exists():
            return folder
    return None


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """Create *path* with *mode* from its first moment; never through an existing file or link."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    except FileExistsError as error:
        raise InputError(f"{path}: exists; a key is never overwritten", "choose another --out") from error
    except OSError as error:
        raise InputError(f"{path}: cannot write here ({error.strerror})", "choose another --out") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written ({error.strerror})", "free some space") from error
