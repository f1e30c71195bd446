"""``sorby record``: the audit trail checked, read, copied and anchored, without the station."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from sorby.bundle import TrustedKey, trusted_keys
from sorby.bundle.canonical import printable
from sorby.bundle.keys import load_public_key
from sorby.cli._frame import fails_after_report, reports, set_aside
from sorby.errors import InputError
from sorby.files import atomic_write, sha256_file
from sorby.progress import Advance, bar
from sorby.record import (
    Anchor,
    Damaged,
    Entry,
    Head,
    append_anchor,
    read_anchors,
    read_record,
    readable,
    verify,
    write_lines,
)
from sorby.record.entry import compact

_FAULTS_SHOWN = 20
_SINCE = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?Z?)?")

_source_argument = click.argument("source", metavar="RECORD")
_key_option = click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="PUB|NAME",
    help="Key that may seal entries: its .pub file, or the name of a trusted one; may be repeated. Default: every"
    " key you trust.",
)
_anchors_option = click.option(
    "--anchors",
    "anchor_files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Anchor file that the station writes outside its database; may be repeated.",
)


@click.group()
def record() -> None:
    """Verify, read, copy and anchor the record: a file of JSON lines, an SQLite file, or a database's URL.

    Example: sorby record verify record.jsonl --anchors anchors.jsonl --key station.pem.pub
    """


def _trusted(named: Iterable[str]) -> dict[str, TrustedKey]:
    """Return the keys that may have sealed entries, by fingerprint.

    Raises
    ------
    InputError
        A key is neither a file nor trusted, or there is none at all.
    """
    known = trusted_keys()
    if not named:
        if not known:
            raise InputError(
                "no key to check signatures with", "give --key FILE.pub, or trust it first: sorby key trust FILE.pub"
            )
        return known
    found = {}
    for name in named:
        if Path(name).is_file():
            public, claimed = load_public_key(name)
            key = TrustedKey(printable(claimed or Path(name).name), public, "")
            found[key.fingerprint] = known.get(key.fingerprint, key)
            continue
        called = {mark: key for mark, key in known.items() if key.name.casefold() == name.casefold()}
        if not called:
            raise InputError(
                f"--key {printable(name)}: no such file, and no trusted key of that name", "sorby key list"
            )
        found |= called
    return found


def _all_anchors(files: Iterable[Path], typed: Iterable[str]) -> tuple[list[Anchor], list[str]]:
    """Return the anchors of files and of the command line, and what could not be read of them."""
    anchors, said = [Anchor.parse(text) for text in typed], list[str]()
    for file in files:
        lines = read_anchors(file)
        anchors += lines.anchors
        if lines.damaged:
            said.append(f"{file}: {len(lines.damaged)} lines are no anchors, the first is line {lines.damaged[0]}")
    return anchors, said


def _counted(entries: Iterable[Entry | Damaged], advance: Advance) -> Iterator[Entry | Damaged]:
    for found in entries:
        advance(1)
        yield found


def _verified(source: str, keys: Iterable[str], files: Iterable[Path], typed: Iterable[str]) -> dict[str, Any]:
    # Anchors are read before the record: one set in between would be ahead of what is read.
    anchors, said = _all_anchors(files, typed)
    trusted = _trusted(keys)
    with bar("verifying") as advance:
        outcome = verify(_counted(read_record(source), advance), anchors, trusted)
    result = outcome.as_dict()
    result["warnings"] = [*result["warnings"], *said]
    return {"record": printable(_shown(source)), **result}


def _shown(source: str) -> str:
    """Return the source without a password."""
    scheme, mark, rest = source.partition("://")
    account, at, place = rest.rpartition("@")
    return f"{scheme}://{account.partition(':')[0]}@{place}" if mark and at else source


def _render_verify(result: dict[str, Any]) -> str:
    n = result["entries"]
    held = f"{result['anchors_checked']} anchors" if result["anchors_checked"] != 1 else "1 anchor"
    lines = [f"{'intact' if result['intact'] else 'NOT INTACT'}: {n} entries, held against {held}"]
    shown = result["faults"][:_FAULTS_SHOWN]
    lines += [f"  {printable(fault['message'])}" for fault in shown]
    if result["n_faults"] > len(shown):
        lines.append(f"  and {result['n_faults'] - len(shown)} more faults")
    if n:
        lines += [f"head      {result['head']}", f"times     {result['first_at']} to {result['last_at']}"]
    for signer in result["signers"]:
        name = printable(signer["name"]) if signer["trusted"] else "an untrusted key"
        lines.append(f"sealed by {name} (key {signer['fingerprint'][:16]}): {signer['entries']} entries")
    return "\n".join([*lines, *(f"note      {line}" for line in result["warnings"])])


@record.command("verify")
@_source_argument
@_anchors_option
@click.option(
    "--anchor",
    "typed",
    multiple=True,
    metavar="COUNT:HEAD",
    help="An anchor from a certificate; 16 or more digits of the head; may be repeated.",
)
@_key_option
@fails_after_report
@reports(_render_verify)
def verify_record(
    source: str, anchor_files: tuple[Path, ...], typed: tuple[str, ...], keys: tuple[str, ...]
) -> dict[str, Any]:
    """Find what was edited, moved, taken out, sealed by others, cut off or rewritten; exit code 2 if anything was.

    Example: sorby record verify record.jsonl --anchors anchors.jsonl --anchor 118:9f3c2ab14d5e6f70
    """
    result = _verified(source, keys, anchor_files, typed)
    if not result["intact"]:
        set_aside(
            InputError(
                f"{result['record']}: {result['faults'][0]['message']}",
                "keep this copy as it is, and compare it with a backup or an earlier export",
            )
        )
    return result


def _render_show(result: dict[str, Any]) -> str:
    lines = [line for entry in result["shown"] for line in _entry_lines(entry)]
    rest = result["n"] - len(result["shown"])
    if rest:
        lines.insert(0, f"({rest} earlier entries; --last shows more)")
    return "\n".join(lines) if result["n"] else "no entry fits"


def _entry_lines(entry: dict[str, Any]) -> list[str]:
    signed = f"  signed: {entry['meaning']}" if entry["meaning"] else ""
    head = f"{entry['sequence']:>6}  {entry['at']}  {entry['actor']} ({entry['role']})  {entry['action']}"
    lines = [f"{head}  {entry['subject']}{signed}"]
    if entry["old"] is not None or entry["new"] is not None:
        lines.append(f"        {compact(entry['old']).decode()} -> {compact(entry['new']).decode()}")
    if entry["reason"]:
        lines.append(f"        reason: {entry['reason']}")
    lines += [f"        {name} {digest}" for name, digest in sorted(entry["evidence"].items())]
    return [printable(line) for line in lines]


def _fits(**asked: str | None) -> Callable[[Entry], bool]:
    since = asked.pop("since")

    def fits(entry: Entry) -> bool:
        if since is not None and entry.at < since:
            return False
        return all(value is None or getattr(entry, name) == value for name, value in asked.items())

    return fits


@record.command()
@_source_argument
@click.option("--subject", help="Only entries about this, e.g. image:3f9c.")
@click.option("--actor", help="Only what this account did.")
@click.option("--action", help="Only this action, e.g. review.accept.")
@click.option("--since", metavar="TIME", help="Only from this UTC time on, e.g. 2026-01-31 or 2026-01-31T12:00.")
@click.option("--last", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many, the latest.")
@reports(_render_show)
def show(
    source: str, subject: str | None, actor: str | None, action: str | None, since: str | None, last: int
) -> dict[str, Any]:
    """Show entries, without checking them: `sorby record verify` does that.

    Example: sorby record show record.jsonl --subject image:3f9c --since 2026-01-31
    """
    if since is not None and _SINCE.fullmatch(since) is None:
        raise InputError(f"--since {printable(since)}: no UTC time", "e.g. 2026-01-31 or 2026-01-31T12:00")
    fits = _fits(subject=subject, actor=actor, action=action, since=since)
    kept, n, unread = deque[Entry](maxlen=last), 0, list[Damaged]()
    for found in read_record(source):
        if isinstance(found, Damaged):
            unread.append(found)
        elif fits(found):
            kept.append(found)
            n += 1
    place = _shown(source)
    return {
        "record": place,
        "n": n,
        "shown": [asdict(entry) for entry in kept],
        "quarantined": [{"file": f"{place} {one.place}", "reason": one.reason} for one in unread],
    }


def _render_export(result: dict[str, Any]) -> str:
    return f"wrote {result['file']} ({result['entries']} entries)\nhead  {result['head']}"


@record.command()
@_source_argument
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File: .jsonl, or .csv to read.")
@reports(_render_export)
def export(source: str, out: Path) -> dict[str, Any]:
    """Copy the whole record to a file: .jsonl can be verified anywhere, .csv is for reading in a spreadsheet.

    Example: sorby record export sqlite:////srv/station.db --out record.jsonl
    """
    if out.suffix.lower() not in (".jsonl", ".csv"):
        raise InputError(f"{out}: the name must end in .jsonl or .csv", "choose another --out")
    if out.exists():
        raise InputError(f"{out}: exists", "choose another --out")
    with bar("exporting") as advance, atomic_write(out) as file:
        entries = _counted(read_record(source), advance)
        if out.suffix.lower() == ".csv":
            from sorby.report.spreadsheet import write_csv

            head = Head()

            def rows() -> Iterator[list[Any]]:
                nonlocal head
                for entry in readable(entries):
                    head = Head.of(entry)
                    yield list(entry.as_row().values())

            write_csv(file, list(Entry.__dataclass_fields__), rows())
        else:
            head = write_lines(file, entries)
    return {"file": str(out), "entries": head.count, "head": head.digest, "sha256": sha256_file(out)}


@record.command()
@_source_argument
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Anchor file to add to, kept elsewhere.")
@_key_option
@reports(lambda result: f"anchored {result['entries']} entries in {result['file']}\nhead  {result['head']}")
def anchor(source: str, out: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    """Verify the record against the anchors in a file, then add one more: for an auditor's own drive.

    Example: sorby record anchor record.jsonl --out /media/auditor/anchors.jsonl --key station.pem.pub
    """
    result = _verified(source, keys, [out] if out.exists() else [], [])
    if not result["intact"]:
        raise InputError(f"{result['record']}: {result['faults'][0]['message']}", "nothing was anchored")
    append_anchor(out, Anchor.of(Head(result["entries"], result["head"])))
    return {**result, "file": str(out)}
