from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sorby.bundle import SigningKey, canonical, export, new_key, open_bundle, signature, trust, verify
from sorby.bundle.keys import load_private_key
from sorby.errors import BundleError, InputError


def test_a_signature_with_a_trusted_key_names_the_signer(make: Callable[..., Path], trusted_jane: SigningKey) -> None:
    for name in ("b", "b.sorby"):
        path = make(name, signing_key=trusted_jane)
        report = verify(path, require_signed=True)
        assert report["intact"]
        assert report["problems"] == []
        # The name is the one the truster gave, not the one the signer claims.
        assert report["signed_by"]["name"] == "Jane of the lab"
        assert open_bundle(path, require_signed=True).signature.status == "signed"


def test_signing_does_not_change_the_identity(make: Callable[..., Path], jane: SigningKey) -> None:
    assert open_bundle(make("a", signing_key=jane)).sha256 == open_bundle(make("b")).sha256


def test_an_unknown_key_is_untrusted_and_an_unsigned_bundle_is_unsigned(
    make: Callable[..., Path], jane: SigningKey
) -> None:
    for path, status in ((make("a", signing_key=jane), "untrusted"), (make("b"), "unsigned")):
        report = verify(path)
        assert report["intact"]
        assert report["signed_by"] is None
        assert report["signature"]["status"] == status
        assert open_bundle(path).signature.status == status
        with pytest.raises(BundleError, match=r"signature is required"):
            open_bundle(path, require_signed=True)
        assert verify(path, require_signed=True)["problems"]


def test_a_key_that_takes_anothers_name_stays_untrusted(make: Callable[..., Path], trusted_jane: SigningKey) -> None:
    impostor = SigningKey("Jane of the lab", Ed25519PrivateKey.generate())
    report = verify(make("b", signing_key=impostor))
    assert report["signed_by"] is None
    assert report["signature"]["status"] == "untrusted"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("signer", "Somebody Else"),
        ("signed_at", "2001-01-01T00:00:00+00:00"),
        ("public_key", "00" * 32),
        ("public_key", "ff" * 32),
        ("signature", "00" * 64),
    ],
)
def test_every_field_of_the_signature_is_signed(
    field: str, value: str, make: Callable[..., Path], trusted_jane: SigningKey
) -> None:
    folder = make("b", signing_key=trusted_jane)
    stated = json.loads((folder / "signature.json").read_bytes())
    (folder / "signature.json").write_bytes(canonical.encode({**stated, field: value}))
    with pytest.raises(BundleError, match="signature does not fit"):
        open_bundle(folder)
    assert verify(folder)["signature"]["status"] == "invalid"


@pytest.mark.parametrize(
    "change",
    [
        {"algorithm": "none"},
        {"format_version": 2},
        {"format_version": True},
        {"signer": 7},
        {"signature": "AB" * 64},
        {"signature": "ab"},
        {"extra": "x"},
    ],
)
def test_a_malformed_signature_is_refused(change, make: Callable[..., Path], trusted_jane: SigningKey) -> None:
    folder = make("b", signing_key=trusted_jane)
    stated = json.loads((folder / "signature.json").read_bytes())
    (folder / "signature.json").write_bytes(canonical.encode({**stated, **change}))
    with pytest.raises(BundleError, match=r"signature\.json"):
        open_bundle(folder)


def test_every_byte_of_the_signature_file_counts(make: Callable[..., Path], trusted_jane: SigningKey) -> None:
    folder = make("b", signing_key=trusted_jane)
    original = (folder / "signature.json").read_bytes()
    for place in range(len(original)):
        data = bytearray(original)
        data[place] ^= 1
        (folder / "signature.json").write_bytes(data)
        with pytest.raises(BundleError):
            open_bundle(folder)


def test_a_signature_of_another_bundle_does_not_fit(make: Callable[..., Path], trusted_jane, description) -> None:
    folder = make("b", signing_key=trusted_jane)
    from sorby.bundle import write

    other = folder.with_name("other")
    write(other, description.model_copy(update={"name": "another"}))
    (other / "signature.json").write_bytes((folder / "signature.json").read_bytes())
    with pytest.raises(BundleError, match="signature does not fit"):
        open_bundle(other)


def test_removing_the_signature_makes_it_unsigned_which_require_signed_refuses(
    make: Callable[..., Path], trusted_jane: SigningKey
) -> None:
    folder = make("b", signing_key=trusted_jane)
    (folder / "signature.json").unlink()
    assert verify(folder)["signature"]["status"] == "unsigned"
    with pytest.raises(BundleError, match="unsigned"):
        open_bundle(folder, require_signed=True)


def test_the_signed_message_is_what_the_format_says(make: Callable[..., Path], jane: SigningKey) -> None:
    """An independent reconstruction: domain, version, length-prefixed statement and table (RFC 8032)."""
    folder = make("b", signing_key=jane)
    stated = json.loads((folder / "signature.json").read_bytes())
    raw = bytes.fromhex(stated.pop("signature"))
    statement = json.dumps(stated, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    table = (folder / "checksums.json").read_bytes()
    message = b"sorby bundle signature\x00" + struct.pack(">I", 1)
    message += struct.pack(">Q", len(statement)) + statement + struct.pack(">Q", len(table)) + table
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(stated["public_key"])).verify(raw, message)


def test_a_bare_signature_over_the_table_is_not_a_bundle_signature(make: Callable[..., Path], jane: SigningKey) -> None:
    """Domain separation: what a key signs elsewhere cannot be turned into a bundle's signature."""
    folder = make("b", signing_key=jane)
    stated = json.loads((folder / "signature.json").read_bytes())
    stated["signature"] = jane.private.sign((folder / "checksums.json").read_bytes()).hex()
    (folder / "signature.json").write_bytes(canonical.encode(stated))
    assert verify(folder)["signature"]["status"] == "invalid"


def test_signing_is_deterministic(jane: SigningKey) -> None:
    time = "2026-11-21T09:00:00+00:00"
    assert signature.sign(b"{}\n", jane, time) == signature.sign(b"{}\n", jane, time)


def test_export_signs_a_finished_bundle_and_keeps_a_signature(
    make: Callable[..., Path], trusted_jane: SigningKey, tmp_path: Path
) -> None:
    made = export(make("b.sorby"), tmp_path / "signed.sorby", signing_key=trusted_jane)
    assert made.signature.status == "signed"
    copied = export(tmp_path / "signed.sorby", tmp_path / "folder", require_signed=True)
    assert copied.signature == made.signature
    assert copied.sha256 == made.sha256
    with pytest.raises(BundleError, match="unsigned"):
        export(make("b"), tmp_path / "refused.sorby", require_signed=True)
    assert not (tmp_path / "refused.sorby").exists()


def test_a_bundle_is_signed_in_place_only_when_asked(make: Callable[..., Path], trusted_jane: SigningKey) -> None:
    path = make("b.sorby")
    with pytest.raises(InputError, match="exists"):
        export(path, path, signing_key=trusted_jane)
    assert verify(path)["signature"]["status"] == "unsigned"
    export(path, path, signing_key=trusted_jane, overwrite=True)
    assert verify(path, require_signed=True)["signed_by"]
    folder = make("b")
    with pytest.raises(InputError, match="over itself"):
        export(folder, folder, signing_key=trusted_jane, overwrite=True)
    assert verify(folder)["intact"]


def test_a_second_signer_replaces_the_first(make: Callable[..., Path], trusted_jane, tmp_path: Path) -> None:
    pair = new_key("Otto", tmp_path / "otto.pem")
    trust(pair.public_file)
    otto = load_private_key(pair.private_file)
    first = make("b.sorby", signing_key=trusted_jane)
    done = export(first, tmp_path / "again.sorby", signing_key=otto)
    assert done.signature.name == "Otto"


def test_a_signer_cannot_steer_the_terminal(make: Callable[..., Path], jane: SigningKey) -> None:
    path = make("b", signing_key=SigningKey("\x1b[2Jsigned by everyone", jane.private))
    assert "\x1b" not in str(open_bundle(path).signature)
