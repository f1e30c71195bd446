"""Whatever happens to the bytes: the content is the one that was written, or it is a BundleError."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sorby.bundle import Description, SigningKey, canonical, open_bundle, verify, write
from sorby.bundle.checksums import Checksums
from sorby.bundle.description import decode as decode_description
from sorby.bundle.keys import Ed25519PrivateKey, TrustedKey
from sorby.errors import BundleError

KEY = SigningKey("Fuzz", Ed25519PrivateKey.from_private_bytes(bytes(32)))
TRUST = TrustedKey("Fuzz", KEY.public_key, "2026-11-21T09:00:00+00:00")
TRUSTED = {TRUST.fingerprint: TRUST}
CONTENT = {"weights.safetensors", "graph.bin", "LICENSE"}


@functools.cache
def pristine(form: str) -> tuple[Path, dict[str, bytes]]:
    path = Path(tempfile.mkdtemp(prefix="sorby-fuzz-")) / ("b.sorby" if form == "archive" else "b")
    made = Description(kind="x", name="n", created="2026-11-21T09:00:00+00:00", versions={}, licence="MIT")
    weights = {"weights": {"w": np.arange(4, dtype=np.float32)}}
    write(path, made, tensors=weights, files={"graph.bin": b"graph"}, signing_key=KEY)
    bundle = open_bundle(path, trusted=TRUSTED)
    return path, {name: bundle.read(name) for name in bundle.members}


@pytest.fixture(scope="module", autouse=True)
def _tidy():
    yield
    for form in ("archive", "folder"):
        shutil.rmtree(pristine(form)[0].parent)
    pristine.cache_clear()


def same_or_refused(path: Path, content: dict[str, bytes]) -> bool:
    report = verify(path, TRUSTED)
    try:
        bundle = open_bundle(path, trusted=TRUSTED)
        read = {name: bundle.read(name) for name in bundle.members}
    except BundleError:
        assert not report["intact"]
        assert report["problems"]
        assert all(len(line.splitlines()) == 1 for line in report["problems"])
        return False
    assert report["intact"]
    assert read == content
    # Either the signature is whole and trusted, or it is gone; nothing in between.
    assert bundle.signature.status in ("signed", "unsigned")
    return True


flips = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4)


def flipped(data: bytes, changes: list[tuple[float, int]]) -> bytes:
    changed = bytearray(data)
    for where, mask in changes:
        changed[int(where * len(data))] ^= mask
    return bytes(changed)


def written(data: bytes, folder: str) -> Path:
    path = Path(folder) / "b.sorby"
    path.write_bytes(data)
    return path


@settings(max_examples=400, deadline=None, database=None, derandomize=True)
@given(flips)
def test_flipped_bits_of_an_archive(changes: list[tuple[float, int]]) -> None:
    path, content = pristine("archive")
    with tempfile.TemporaryDirectory() as folder:
        same_or_refused(written(flipped(path.read_bytes(), changes), folder), content)


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(st.floats(0.5, 1, exclude_max=True), st.binary(min_size=1, max_size=12))
def test_overwritten_runs_of_the_archives_directory(where: float, run: bytes) -> None:
    path, content = pristine("archive")
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\x01\x02")
    place = start + int((where - 0.5) * 2 * (len(data) - start))
    data[place : place + len(run)] = run
    with tempfile.TemporaryDirectory() as folder:
        same_or_refused(written(bytes(data), folder), content)


@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(st.floats(0, 1, exclude_max=True))
def test_a_truncated_archive_never_opens(share: float) -> None:
    path, content = pristine("archive")
    data = path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        assert not same_or_refused(written(data[: int(share * len(data))], folder), content)


@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(st.floats(0, 1), st.binary(min_size=1, max_size=50))
@example(1.0, b"\x00")
@example(0.0, b"PK\x03\x04")
def test_inserted_bytes_never_open(share: float, more: bytes) -> None:
    path, content = pristine("archive")
    data = path.read_bytes()
    place = int(share * len(data))
    with tempfile.TemporaryDirectory() as folder:
        assert not same_or_refused(written(data[:place] + more + data[place:], folder), content)


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(st.integers(0, 10**6), flips, st.one_of(st.none(), st.floats(0, 1, exclude_max=True)))
def test_a_damaged_member_of_a_folder_never_opens(
    which: int, changes: list[tuple[float, int]], cut: float | None
) -> None:
    path, content = pristine("folder")
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(shutil.copytree(path, Path(scratch) / "b"))
        names = sorted(os.listdir(copy))
        file = copy / names[which % len(names)]
        before = file.read_bytes()
        after = flipped(before, changes) if cut is None else before[: int(cut * len(before))]
        file.write_bytes(after)
        assert same_or_refused(copy, content) == (after == before)


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(st.binary(max_size=400))
def test_random_bytes_are_no_bundle(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert not same_or_refused(written(data, folder), {})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(st.sampled_from(sorted(Description.model_fields)), json_values)
def test_any_json_in_any_field_is_read_or_refused(field: str, value: object) -> None:
    stated = {"kind": "x", "name": "n", "licence": "MIT", "versions": {}, "format_version": 1}
    try:
        data = canonical.encode({**stated, field: value})
    except ValueError:
        return  # half a surrogate pair: not writable as JSON at all
    try:
        made = decode_description(data)
    except BundleError as error:
        refusal = error.message
        assert refusal.isprintable()
    else:
        assert decode_description(made.encode()) == made


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(json_values)
def test_any_json_is_a_checksum_table_or_refused(value: object) -> None:
    for stated in (value, {"format_version": 1, "members": value}, {"format_version": value, "members": {}}):
        try:
            data = canonical.encode(stated)
        except ValueError:
            continue
        try:
            table = Checksums.decode(data)
        except BundleError:
            continue
        assert table.encode() == data
