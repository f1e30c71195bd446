"""Whatever is done to a record is found, back to the last anchor outside; and what cannot be found is not claimed."""

from __future__ import annotations

import random
import tracemalloc
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealed_records import chain, sealing, trusting
from sorby.record import Anchor, Damaged, Entry, Event, Head, Verification, seal, verify

KEY, OTHER = sealing(7), sealing(8, "somebody else")
TRUSTED = trusting(KEY)
N = 12
CHAIN = chain(N, KEY)
END = Anchor.of(Head.of(CHAIN[-1]), "2026-03-01T01:00:00Z")
quick = settings(max_examples=100, deadline=None, derandomize=True)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
HEX = "0123456789abcdef"


def kinds(found: Verification) -> set[tuple[int, str]]:
    return {(fault.sequence, fault.kind) for fault in found.faults}


def sealed_text(entry: Entry) -> bytes:
    return entry.encode()


@st.composite
def changes(draw: st.DrawFn) -> tuple[int, Entry]:
    """One field of one entry, with another value of its kind."""
    place = draw(st.integers(0, N - 1))
    entry = CHAIN[place]
    name = draw(st.sampled_from(sorted(asdict(entry))))
    value = getattr(entry, name)
    if name in ("digest", "signature", "previous", "key"):
        at = draw(st.integers(0, len(value) - 1))
        new: Any = value[:at] + draw(st.sampled_from(HEX.replace(value[at], ""))) + value[at + 1 :]
    elif name == "sequence":
        new = draw(st.integers(1, 2 * N).filter(lambda n: n != value))
    elif name == "evidence":
        new = draw(st.dictionaries(st.text(), st.text(HEX, min_size=64, max_size=64), max_size=2))
    elif name in ("old", "new"):
        new = draw(JSON)
    else:
        new = draw(st.text())
    changed = replace(entry, **{name: new})
    # 1, 1.0 and True are equal in Python and different in a record.
    return place, changed


@quick
@given(changes())
def test_any_change_of_any_field_of_any_entry_is_found(change):
    place, changed = change
    if sealed_text(changed) == sealed_text(CHAIN[place]):
        return
    found = verify([*CHAIN[:place], changed, *CHAIN[place + 1 :]], [END], TRUSTED)
    assert not found.intact
    assert {fault.sequence for fault in found.faults} & {place + 1, place + 2, changed.sequence}


@quick
@given(st.permutations(range(N)))
def test_any_other_order_is_found(order):
    found = verify([CHAIN[k] for k in order], [END], TRUSTED)
    assert found.intact == (list(order) == list(range(N)))


@quick
@given(st.sets(st.integers(0, N - 1), min_size=1))
def test_any_deletion_before_the_last_anchor_is_found(gone):
    found = verify([entry for k, entry in enumerate(CHAIN) if k not in gone], [END], TRUSTED)
    assert not found.intact


@quick
@given(st.lists(st.integers(0, N - 1), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_any_entry_put_in_twice_is_found(again, rng: random.Random):
    entries = list(CHAIN)
    for k in again:
        entries.insert(rng.randint(0, len(entries)), CHAIN[k])
    assert not verify(entries, [END], TRUSTED).intact


@quick
@given(st.integers(0, N - 1), st.integers(1, N))
def test_a_cut_end_is_found_exactly_where_an_anchor_lies_behind_the_cut(kept, anchored):
    anchor = Anchor.of(Head.of(CHAIN[anchored - 1]))
    found = verify(CHAIN[:kept], [anchor], TRUSTED)
    assert found.intact == (kept >= anchored)
    assert kinds(found) == (set() if found.intact else {(anchored, "truncated")})


@quick
@given(st.integers(0, N - 1), st.integers(1, N))
def test_what_the_holder_of_the_key_writes_anew_is_found_back_to_the_last_anchor(kept, anchored):
    """And not after it: this is the limit that the documentation states."""
    start = Head.of(CHAIN[kept - 1]) if kept else Head()
    rewritten = [*CHAIN[:kept], *chain_of_lies(N - kept, start)]
    found = verify(rewritten, [Anchor.of(Head.of(CHAIN[anchored - 1]))], TRUSTED)
    assert found.intact == (anchored <= kept)
    assert found.intact or kinds(found) == {(anchored, "rewritten")}


def chain_of_lies(n: int, head: Head) -> list[Entry]:
    lies = []
    for _ in range(n):
        lies.append(seal(Event("ina", "operator", "image.delete", "image:1"), head, KEY, at="2026-03-01T00:30:00Z"))
        head = Head.of(lies[-1])
    return lies


def test_an_untouched_record_is_intact_and_says_who_sealed_it():
    found = verify(CHAIN, [END, Anchor.parse(f"5:{CHAIN[4].digest[:16]}"), Anchor(0, Head().digest)], TRUSTED)
    said = found.as_dict()
    assert (said["entries"], said["head"], said["intact"], said["anchors_checked"]) == (N, CHAIN[-1].digest, True, 3)
    assert said["signers"] == [{"fingerprint": next(iter(TRUSTED)), "name": KEY.name, "trusted": True, "entries": N}]
    assert said["warnings"] == []
    assert (said["first_at"], said["last_at"]) == (CHAIN[0].at, CHAIN[-1].at)


def test_without_anchor_it_is_said_that_a_cut_end_would_not_be_seen():
    assert "cut off" in verify(CHAIN, [], TRUSTED).warnings[0]
    assert verify(CHAIN[:3], [], TRUSTED).intact


def test_faults_name_the_entry_and_what_was_done():
    edited = replace(CHAIN[3], reason="another")
    assert kinds(verify([*CHAIN[:3], edited, *CHAIN[4:]], [END], TRUSTED)) == {(4, "edited")}
    resealed = seal(Event("x", "y", "z", "w"), Head.of(CHAIN[2]), KEY)
    assert kinds(verify([*CHAIN[:3], resealed, *CHAIN[4:]], [END], TRUSTED)) == {(5, "unlinked")}
    assert kinds(verify([*CHAIN[:3], *CHAIN[5:]], [END], TRUSTED)) == {(6, "missing")}
    assert verify([*CHAIN[:3], *CHAIN[5:]], [END], TRUSTED).faults[0].message == (
        "entry 6: entries 4 to 5 are missing before it"
    )
    twice = [*CHAIN[:3], CHAIN[2], *CHAIN[3:]]
    assert kinds(verify(twice, [END], TRUSTED)) == {(3, "misplaced")}


def test_entries_of_another_key_are_foreign_and_one_line_tells_of_all():
    mixed = [*CHAIN[:4], *chain(6, OTHER, Head.of(CHAIN[3]))]
    found = verify(mixed, [], TRUSTED)
    assert kinds(found) == {(5, "foreign")}
    assert found.n_faults == 6
    assert [(signer.name, signer.entries) for signer in found.signers] == [(None, 6), (KEY.name, 4)]
    assert verify(mixed, [], trusting(KEY, OTHER)).intact  # a key that was changed and trusted
    assert not verify(CHAIN, [END], {}).intact


def test_a_signature_of_somebody_else_under_the_name_of_a_trusted_key_is_forged():
    stolen = replace(CHAIN[2], signature=OTHER.private.sign(bytes.fromhex(CHAIN[2].digest)).hex())
    assert kinds(verify([*CHAIN[:2], stolen, *CHAIN[3:]], [END], TRUSTED)) == {(3, "forged")}


def test_a_signature_made_for_something_else_is_none_of_an_entry():
    """The bare digest signed elsewhere with the same key must not pass."""
    reused = replace(CHAIN[2], signature=KEY.private.sign(bytes.fromhex(CHAIN[2].digest)).hex())
    assert kinds(verify([*CHAIN[:2], reused, *CHAIN[3:]], [END], TRUSTED)) == {(3, "forged")}


def test_what_cannot_be_read_is_one_fault_and_the_rest_is_checked():
    damaged = Damaged("line 4", "not valid JSON")
    assert kinds(verify([*CHAIN[:3], damaged, *CHAIN[4:]], [END], TRUSTED)) == {(4, "damaged")}
    assert kinds(verify([*CHAIN[:3], damaged, *CHAIN[3:]], [END], TRUSTED)) == {(4, "damaged")}
    assert (6, "edited") in kinds(
        verify([*CHAIN[:3], damaged, CHAIN[4], replace(CHAIN[5], actor="x"), *CHAIN[6:]], [END], TRUSTED)
    )


def test_two_anchors_that_contradict_each_other_cannot_both_hold():
    false = Anchor(5, "0" * 64)
    found = verify(CHAIN, [Anchor.of(Head.of(CHAIN[4])), false], TRUSTED)
    assert kinds(found) == {(5, "rewritten")}
    assert found.anchors_checked == 2


def test_a_clock_set_back_is_a_remark_and_no_fault():
    later = seal(Event("a", "b", "c", "d"), Head.of(CHAIN[-1]), KEY, at="2026-02-01T00:00:00Z")
    found = verify([*CHAIN, later], [END], TRUSTED)
    assert found.intact
    assert f"entry {N + 1}" in found.warnings[0]


def test_an_empty_record_is_intact_unless_something_was_anchored():
    assert verify([], [], TRUSTED).intact
    assert kinds(verify([], [END], TRUSTED)) == {(N, "truncated")}


def test_the_fork_of_a_restored_backup_is_found():
    """Both ends are sealed honestly; the anchor tells which was there."""
    fork = [*CHAIN[:6], *chain_of_lies(8, Head.of(CHAIN[5]))]
    assert kinds(verify(fork, [END], TRUSTED)) == {(N, "rewritten")}


@pytest.mark.parametrize("broken", [False, True])
def test_memory_does_not_grow_with_the_record(broken):
    def entries(n: int) -> Any:
        for k in range(n):
            yield replace(CHAIN[k % N], reason="x") if broken else Damaged(f"line {k}", "torn")

    peaks = []
    for n in (200, 2000):
        tracemalloc.start()
        verify(entries(n), [], TRUSTED)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0] + 20_000  # both list a hundred faults; ten times the entries, no more memory
