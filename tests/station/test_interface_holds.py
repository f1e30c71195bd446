"""The REST interface against its own description: whatever is sent, nothing is a fault of the server."""

from __future__ import annotations

from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode

from sorby.station.records import verify_record
from sorby.station.sessions import COOKIE

API = "/api/v1"
#: What would end the session or change the account with which everything is asked.
LEFT_OUT = (f"{API}/auth/sign-out", f"{API}/me/password")
EXAMPLES = 8

_bounded = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
@pytest.mark.parametrize("role", ["administrator", "supervisor"])
def test_no_request_is_a_fault_of_the_server(either_station, role: str, mode: GenerationMode) -> None:
    client = either_station.client(role)
    headers = {"X-CSRF-Token": client.headers["X-CSRF-Token"], "Cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
    schema = schemathesis.openapi.from_asgi(f"{API}/openapi.json", client.app, headers=headers)
    asked, faults = 0, []
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in LEFT_OUT:
            continue

        @_bounded
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Case) -> None:
            nonlocal asked
            asked += 1
            answer = case.call(headers=headers)
            if answer.status_code >= 500:
                faults.append(f"{case.as_curl_command()}\n{answer.text[:300]}")

        with suppress(Unsatisfiable):  # without parameters or body nothing wrong can be sent
            ask()
    assert not faults, "\n".join(faults[:5])
    assert asked > 100
    assert verify_record(either_station.desk).intact
