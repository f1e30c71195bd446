from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sorby.bundle import is_encrypted, keys, load_private_key, new_key, trust, trusted_keys, untrust
from sorby.errors import InputError


def test_the_two_files_of_a_pair_belong_together(tmp_path: Path) -> None:
    pair = new_key("Jane Doe", tmp_path / "jane.pem")
    public, claimed = keys.load_public_key(pair.public_file)
    private = load_private_key(pair.private_file)
    assert public == private.public_key
    assert claimed == private.name == "Jane Doe"
    assert pair.fingerprint == keys.fingerprint(public)


def test_openssl_like_readers_take_the_files(tmp_path: Path) -> None:
    pair = new_key("Jane Doe", tmp_path / "jane.pem")
    serialization.load_pem_private_key(pair.private_file.read_bytes(), None)
    serialization.load_pem_public_key(pair.public_file.read_bytes())


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_only_the_owner_can_read_the_private_key(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        pair = new_key("Jane", tmp_path / "jane.pem")
    finally:
        os.umask(previous)
    assert pair.private_file.stat().st_mode & 0o777 == 0o600


def test_two_new_keys_differ(tmp_path: Path) -> None:
    assert new_key("a", tmp_path / "1").fingerprint != new_key("a", tmp_path / "2").fingerprint


@pytest.mark.parametrize("existing", ["jane.pem", "jane.pem.pub"])
def test_an_existing_file_is_never_overwritten(existing: str, tmp_path: Path) -> None:
    (tmp_path / existing).write_text("precious")
    with pytest.raises(InputError, match="never overwritten"):
        new_key("Jane", tmp_path / "jane.pem")
    assert os.listdir(tmp_path) == [existing]
    assert (tmp_path / existing).read_text() == "precious"


def test_a_key_does_not_go_into_a_repository_unasked(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path / "repo")], check=True)
    target = tmp_path / "repo" / "deep" / "jane.pem"
    with pytest.raises(InputError, match="inside the repository"):
        new_key("Jane", target)
    assert not target.exists()
    assert new_key("Jane", target, inside_repository=True).private_file == target


def test_keys_go_to_the_configuration_folder_by_default(own_home: Path) -> None:
    pair = new_key("Dr. Jane O'Doe / Lab 3")
    assert pair.private_file == own_home / "keys" / "dr-jane-o-doe-lab-3.pem"
    with pytest.raises(InputError, match="never overwritten"):
        new_key("Dr. Jane O'Doe / Lab 3")


def test_a_passphrase_protects_the_key(tmp_path: Path) -> None:
    pair = new_key("Jane", tmp_path / "jane.pem", passphrase=b"etch with nital")
    assert is_encrypted(pair.private_file)
    assert load_private_key(pair.private_file, b"etch with nital").name == "Jane"
    with pytest.raises(InputError, match="encrypted") as caught:
        load_private_key(pair.private_file)
    assert "SORBY_KEY_PASSPHRASE" in caught.value.hint
    with pytest.raises(InputError, match="wrong passphrase"):
        load_private_key(pair.private_file, b"picral")
    with pytest.raises(InputError, match="empty"):
        new_key("Jane", tmp_path / "other.pem", passphrase=b"")


def test_a_full_disk_leaves_no_half_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 2:  # the private key is out, the public one does not fit
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="cannot be written"):
        new_key("Jane", tmp_path / "jane.pem")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["", "   ", "two\nlines", "bell\x07", "x" * 201])
def test_a_signers_name_is_one_printable_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one line"):
        new_key(name, tmp_path / "jane.pem")
    assert os.listdir(tmp_path) == []


def test_trust_is_kept_listed_and_revoked(tmp_path: Path) -> None:
    jane, otto = (new_key(name, tmp_path / name) for name in ("Jane", "Otto"))
    trust(otto.public_file)
    trust(jane.public_file, "A. Jane")
    assert [(key.name, key.fingerprint) for key in trusted_keys().values()] == [
        ("A. Jane", jane.fingerprint),
        ("Otto", otto.fingerprint),
    ]
    assert untrust("otto").fingerprint == otto.fingerprint
    assert untrust(jane.fingerprint[:12]).name == "A. Jane"
    assert trusted_keys() == {}


def test_trusting_again_renames(tmp_path: Path) -> None:
    jane = new_key("Jane", tmp_path / "jane")
    trust(jane.public_file)
    trust(jane.public_file, "Jane Smith")
    assert [key.name for key in trusted_keys().values()] == ["Jane Smith"]


def test_one_name_cannot_mean_two_keys(tmp_path: Path) -> None:
    first, second = (new_key("Jane", tmp_path / name) for name in ("1", "2"))
    trust(first.public_file)
    with pytest.raises(InputError, match="already names"):
        trust(second.public_file, "JANE")
    assert list(trusted_keys()) == [first.fingerprint]


@pytest.mark.parametrize("who", ["nobody", "ab", ""])
def test_untrusting_a_stranger_is_an_error(who: str, tmp_path: Path) -> None:
    trust(new_key("Jane", tmp_path / "1").public_file)
    with pytest.raises(InputError, match="no trusted key"):
        untrust(who)
    assert len(trusted_keys()) == 1


def test_a_private_key_offered_for_trust_is_refused(tmp_path: Path) -> None:
    pair = new_key("Jane", tmp_path / "jane.pem")
    with pytest.raises(InputError, match="is a private key"):
        trust(pair.private_file)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        b"-----BEGIN PRIVATE KEY-----\n????\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ],
)
def test_what_is_no_key_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "x.pub"
    file.write_bytes(content)
    for read in (trust, load_private_key):
        with pytest.raises(InputError, match="key"):
            read(file)
    with pytest.raises(InputError, match="cannot be read"):
        trust(tmp_path / "absent.pub")


def test_a_key_of_another_algorithm_is_refused(tmp_path: Path) -> None:
    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "rsa.pub").write_bytes(public)
    (tmp_path / "rsa.pem").write_bytes(secret)
    with pytest.raises(InputError, match="not an Ed25519 key"):
        trust(tmp_path / "rsa.pub", "R")
    with pytest.raises(InputError, match="not an Ed25519 key"):
        load_private_key(tmp_path / "rsa.pem", name="R")


def test_a_key_without_a_name_asks_for_one(tmp_path: Path) -> None:
    pair = new_key("Jane", tmp_path / "jane.pem")
    for file in (pair.private_file, pair.public_file):
        file.write_bytes(file.read_bytes().split(b"\n", 1)[1])
    with pytest.raises(InputError, match="names no signer"):
        load_private_key(pair.private_file)
    with pytest.raises(InputError, match="names no signer"):
        trust(pair.public_file)
    assert load_private_key(pair.private_file, name="J").name == "J"
    assert trust(pair.public_file, "J").name == "J"


@pytest.mark.parametrize("damage", ["swap", "junk", "name"])
def test_a_damaged_trust_file_is_an_error_not_a_guess(damage: str, tmp_path: Path, own_home: Path) -> None:
    key = trust(new_key("Jane", tmp_path / "jane").public_file)
    file = own_home / "trusted" / f"{key.fingerprint}.json"
    text = file.read_text()
    changed = {
        "swap": text.replace(key.public_key, "11" * 32),
        "junk": "{",
        "name": text.replace("Jane", "Ja\\nne"),
    }[damage]
    file.write_text(changed)
    with pytest.raises(InputError, match=r"trusted"):
        trusted_keys()
