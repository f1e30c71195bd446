"""``sorby key``: signing keys, and whose signature counts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from sorby.bundle import TrustedKey, new_key, trusted_keys
from sorby.bundle import trust as trust_key
from sorby.bundle import untrust as untrust_key
from sorby.cli._frame import reports


@click.group()
def key() -> None:
    """Make a signing key; say whose keys you trust.

    Example: sorby key new --name "Jane Doe" --out ~/jane.pem
    """


def _render_new(result: dict[str, Any]) -> str:
    return (
        f"private key  {result['private_key']}  (keep it secret; back it up)\n"
        f"public key   {result['public_key']}  (give it to those who should trust you)\n"
        f"fingerprint  {result['fingerprint']}  (tell it to them by another way)"
    )


def _render_one(result: dict[str, Any]) -> str:
    state = "trusted" if result["trusted"] else "no longer trusted"
    return f"{state}: {result['name']}\nfingerprint {result['fingerprint']}"


def _render_list(result: dict[str, Any]) -> str:
    rows = [f"{entry['fingerprint'][:16]}  {entry['name']}  (since {entry['trusted_at']})" for entry in result["keys"]]
    return "\n".join(rows) if rows else "no key is trusted yet; see `sorby key trust --help`"


def _as_dict(entry: TrustedKey) -> dict[str, Any]:
    return {"name": entry.name, "fingerprint": entry.fingerprint, "trusted_at": entry.trusted_at}


@key.command()
@click.option("--name", required=True, help="Who signs.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Private key file; the public key goes beside it as FILE.pub. Default: sorby's configuration folder.",
)
@click.option(
    "--passphrase",
    "protect",
    is_flag=True,
    help="Encrypt the private key; the passphrase is asked for, or taken from SORBY_KEY_PASSPHRASE.",
)
@click.option("--inside-repository", is_flag=True, help="Allow a place inside a git checkout.")
@reports(_render_new)
def new(name: str, out: Path | None, protect: bool, inside_repository: bool) -> dict[str, Any]:
    """Make an Ed25519 key pair; an existing file is never overwritten.

    Example: sorby key new --name "Jane Doe" --out ~/jane.pem
    """
    passphrase = None
    if protect:
        passphrase = os.environ.get("SORBY_KEY_PASSPHRASE") or click.prompt(
            "Passphrase", hide_input=True, confirmation_prompt=True, err=True
        )
    made = new_key(
        name,
        out,
        passphrase=passphrase.encode() if passphrase is not None else None,
        inside_repository=inside_repository,
    )
    return {
        "name": made.name,
        "fingerprint": made.fingerprint,
        "private_key": str(made.private_file),
        "public_key": str(made.public_file),
        "encrypted": passphrase is not None,
    }


@key.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--as", "name", metavar="NAME", help="Whose key it is; by default the name in the file.")
@reports(_render_one)
def trust(file: Path, name: str | None) -> dict[str, Any]:
    """Trust a public key; compare its fingerprint with its owner by another way first.

    Example: sorby key trust jane.pem.pub --as "Jane Doe"
    """
    return {**_as_dict(trust_key(file, name)), "trusted": True}


@key.command()
@click.argument("name")
@reports(_render_one)
def untrust(name: str) -> dict[str, Any]:
    """Stop trusting a key, given by name or fingerprint.

    Example: sorby key untrust "Jane Doe"
    """
    return {**_as_dict(untrust_key(name)), "trusted": False}


@key.command("list")
@reports(_render_list)
def list_keys() -> dict[str, Any]:
    """List the trusted keys.

    Example: sorby key list
    """
    return {"keys": [_as_dict(entry) for entry in trusted_keys().values()]}
