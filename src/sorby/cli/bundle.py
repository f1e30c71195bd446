"""``sorby bundle``: what a model bundle is, whether it is intact, and its other forms."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

import sorby.detect  # noqa: F401  it says who makes the graph of a box detector
from sorby.bundle import FORMATS, OpenBundle, SigningKey, is_encrypted, load_private_key, open_bundle
from sorby.bundle import export as export_bundle
from sorby.bundle import verify as verify_bundle
from sorby.bundle.canonical import printable
from sorby.cli._frame import fails_after_report, reports, set_aside
from sorby.cli._options import signed_option
from sorby.errors import BundleError

_bundle_argument = click.argument("bundle_path", metavar="BUNDLE", type=click.Path(path_type=Path))


@click.group()
def bundle() -> None:
    """Show, verify, sign and export a model bundle.

    Example: sorby bundle verify run/bundle.sorby --require-signed
    """


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _metric_line(name: str, entry: Any) -> str | None:
    """Return one metric as text; nested tables stay in the JSON."""
    if isinstance(entry, dict) and "value" in entry:
        interval = entry.get("ci95")
        within = f" (95 % {_number(interval[0])} to {_number(interval[1])})" if isinstance(interval, list) else ""
        count = f", n = {entry['n']}" if "n" in entry else ""
        return f"{printable(name)} {_number(entry['value'])}{within}{count}"
    if isinstance(entry, int | float):
        return f"{printable(name)} {_number(entry)}"
    return None


def _signature_line(stated: dict[str, Any]) -> str:
    key = f"key {(stated['fingerprint'] or '')[:16]}"
    return {
        "unsigned": "unsigned",
        "signed": f"signed by {stated['name']} ({key}, {stated['signed_at']})",
        "untrusted": f"signed with an untrusted {key}, which calls itself '{stated['name']}'",
        "invalid": "the signature does not hold",
    }[stated["status"]]


def _render_show(result: dict[str, Any]) -> str:
    stated = result["description"]
    data = stated["training_data"]
    rows = [
        ("name", f"{stated['name']} ({stated['kind']})"),
        ("sha256", result["sha256"]),
        ("signature", _signature_line(result["signature"])),
        ("created", stated["created"]),
        ("licence", stated["licence"]),
        *([("classes", ", ".join(stated["classes"]))] if stated["classes"] else []),
        (
            "corpus",
            f"{data['n']} images{', test part included' if stated['classes'] else ''}, fingerprint"
            f" {data['fingerprint'][:16]}"
            if data
            else "nothing stated",
        ),
    ]
    promised = stated["calibration"]
    if "guarantee" in promised:
        rows += [("threshold", f"{promised['value']:.4g} ({promised['rule']})"), ("promise", promised["guarantee"])]
    rows += [("metric", line) for name, entry in stated["metrics"].items() if (line := _metric_line(name, entry))]
    rows += [("limit", line) for line in stated["limits"]]
    rows += [("note", line) for line in stated["notes"]]
    rows += [("member", f"{name} ({size} bytes)") for name, size in result["members"].items()]
    return "\n".join(f"{label:<11}{printable(text)}" for label, text in rows)


def _render_verify(result: dict[str, Any]) -> str:
    if not result["intact"]:
        return "\n".join(["NOT INTACT", *(f"  {printable(problem)}" for problem in result["problems"])])
    return f"intact, {_signature_line(result['signature'])}\nsha256 {result['sha256']}"


def _render_export(result: dict[str, Any]) -> str:
    lines = [f"wrote {file}" for file in result["files"]]
    lines += [f"left out: {line}" for line in result["left_out"]]
    if result["format"] in ("sorby", "folder"):
        lines.append(_signature_line(result["signature"]))
    return "\n".join(lines)


def _facts(opened: OpenBundle) -> dict[str, Any]:
    stated = opened.description
    return {
        "sha256": opened.sha256,
        "kind": stated.kind,
        "classes": stated.classes,
        "metrics": stated.metrics,
        "signature": opened.signature.as_dict(),
    }


@bundle.command()
@_bundle_argument
@signed_option
@reports(_render_show)
def show(bundle_path: Path, require_signed: bool) -> dict[str, Any]:
    """Show what a bundle says about itself, once its checksums hold.

    Example: sorby bundle show run/bundle.sorby
    """
    with open_bundle(bundle_path, require_signed=require_signed) as opened:
        return {
            "bundle": str(bundle_path),
            **_facts(opened),
            "description": opened.description.model_dump(mode="json"),
            "members": opened.members,
        }


@bundle.command()
@_bundle_argument
@signed_option
@fails_after_report
@reports(_render_verify)
def verify(bundle_path: Path, require_signed: bool) -> dict[str, Any]:
    """Say whether every byte is as it was written, and who signed it; exit code 2 if not as demanded.

    Example: sorby bundle verify model.sorby --require-signed
    """
    result = verify_bundle(bundle_path, require_signed=require_signed)
    hint = result.pop("hint")
    if result["problems"]:
        set_aside(BundleError(result["problems"][0], hint))
    return result


@bundle.command()
@_bundle_argument
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File or folder to write.")
@click.option("--to", type=click.Choice(FORMATS), help="Form; by default what the suffix of --out says.")
@click.option("--sign", type=click.Path(path_type=Path), metavar="KEY", help="Sign with this private key file.")
@click.option("--signer", metavar="NAME", help="Name to sign under, if not the one in the key file.")
@click.option("--overwrite", is_flag=True, help="Replace what is at --out.")
@signed_option
@reports(_render_export)
def export(
    bundle_path: Path,
    out: Path,
    to: str | None,
    sign: Path | None,
    signer: str | None,
    overwrite: bool,
    require_signed: bool,
) -> dict[str, Any]:
    """Write a bundle in another form, signed on request; say what that form leaves out.

    Forms: sorby (one file), folder, onnx, openvino (.xml and .bin), description (JSON).
    An encrypted key's passphrase is asked for, or taken from SORBY_KEY_PASSPHRASE.

    Example: sorby bundle export run/bundle.sorby --sign jane.pem --out signed.sorby
    """
    key = _signing_key(sign, signer) if sign else None
    done = export_bundle(bundle_path, out, to=to, signing_key=key, require_signed=require_signed, overwrite=overwrite)
    with open_bundle(bundle_path) as source:
        facts = _facts(source)
    return {
        "bundle": str(bundle_path),
        **facts,
        "signature": done.signature.as_dict(),
        "format": done.format,
        "files": [str(file) for file in done.files],
        "left_out": done.left_out,
    }


def _signing_key(file: Path, signer: str | None) -> SigningKey:
    passphrase = os.environ.get("SORBY_KEY_PASSPHRASE")
    if is_encrypted(file) and not passphrase and sys.stdin.isatty():
        passphrase = click.prompt(f"Passphrase of {file}", hide_input=True, err=True)
    return load_private_key(file, passphrase.encode() if passphrase else None, name=signer)
