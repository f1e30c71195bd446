"""Slowing down who guesses: each failure doubles the wait, for the pair of name and address, and for the address.

Nobody else's failures make the owner of a name wait, because they come from another address; so strangers cannot lock
an account. An attempt is counted before the password is looked at and taken back when it was right: guesses sent at
once count as well.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from sorby.files import sha256_bytes
from sorby.station.database import tables
from sorby.station.desk import TooOften

_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
_FREE = {"pair": 3, "address": 20, "signature": 3}  # failures before anybody waits: typing errors are human
_LONGEST_S = 900.0
_FORGOTTEN_S = 24 * 3600.0


def pair(name: str, address: str) -> str:
    """Name the attempts on one name from one address."""
    return f"pair:{sha256_bytes(name.encode('utf-8', 'replace'))[:32]}:{network(address)}"


def everything_from(address: str) -> str:
    """Name the attempts from one address, whatever the name."""
    return f"address:{network(address)}"


def signatures_of(user_id: str) -> str:
    """Name the attempts to sign by somebody who is signed in."""
    return f"signature:{user_id}"


def network(address: str) -> str:
    """Return the IPv4 address, or the first 64 bits of an IPv6 address: one household has all of the others."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False).network_address)
    return str(found)


def count_attempt(session: Session, *subjects: str, at: str) -> list[int]:
    """Count an attempt against each of *subjects*, and return what to take back if it succeeds.

    Raises
    ------
    TooOften
        The wait after the last failure is not over; nothing is counted then.
    """
    time = datetime.strptime(at, _FORMAT).replace(tzinfo=UTC)
    oldest = (time - timedelta(seconds=_FORGOTTEN_S)).strftime(_FORMAT)
    session.execute(delete(tables.Attempt).where(tables.Attempt.at < oldest))
    for subject in subjects:
        failures, last = session.execute(
            select(func.count(), func.max(tables.Attempt.at)).where(tables.Attempt.subject == subject)
        ).one()
        wait = _wait(subject, failures)
        if last is not None and wait > 0:
            left = wait - (time - datetime.strptime(last, _FORMAT).replace(tzinfo=UTC)).total_seconds()
            if left > 0:
                raise TooOften("too many attempts", left)
    attempts = [tables.Attempt(subject=subject, at=at) for subject in subjects]
    session.add_all(attempts)
    session.flush()
    return [attempt.id for attempt in attempts]


def take_back(session: Session, counted: list[int], *cleared: str) -> None:
    """Take back an attempt that succeeded, and all failures of the subjects that it *cleared*."""
    session.execute(delete(tables.Attempt).where(tables.Attempt.id.in_(counted)))
    if cleared:
        session.execute(delete(tables.Attempt).where(tables.Attempt.subject.in_(cleared)))


def _wait(subject: str, failures: int) -> float:
    """Return the seconds after the last failure before another attempt is looked at."""
    beyond = failures - _FREE[subject.partition(":")[0]]
    return 0.0 if beyond < 0 else min(2.0**beyond, _LONGEST_S)
