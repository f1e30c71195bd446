from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from sorby.errors import InputError
from sorby.station import accounts, brakes, passwords, sessions, tokens
from sorby.station.accounts import change_account, change_own_password, create_account, reset_password
from sorby.station.database import tables
from sorby.station.desk import Conflict, Refused, SignedOut, TooOften
from sorby.station.permissions import GRANTED, Permission, Role
from sorby.station.records import list_entries, verify_record
from sorby.station.rest.guards import Allowance
from sorby.station.sessions import COOKIE, sign_in, visit_of
from station_household import ORIGIN, PASSWORD

SIGN_IN = "/api/v1/auth/sign-in"


def _actions(station, subject: str) -> list[str]:
    entries = list_entries(station.desk, station.actors["auditor"], subject=subject, limit=1000)
    return [entry.action for entry in reversed(entries)]


def _ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.fixture
def standing_clock(monkeypatch) -> None:
    """All attempts at one moment, however long they take."""
    at = _ago(0)
    monkeypatch.setattr(sessions, "now", lambda: at)


@pytest.mark.parametrize(
    "password", ["short", "aaaaaaaaaaaaaaaa", "abababababab", "my name is j.doe!", "x" * 201], ids=str.strip
)
def test_easy_passwords_are_refused(password: str) -> None:
    with pytest.raises(InputError):
        passwords.check_password(password, "j.doe")


def test_a_password_typed_in_another_composition_is_the_same() -> None:
    stored = passwords.hash_password("Gefügeprüfung 100Cr6")
    assert passwords.verify_password(stored, "Gefu\u0308gepru\u0308fung 100Cr6")
    assert not passwords.verify_password(stored, "Gefugeprufung 100Cr6")
    assert not passwords.verify_password(None, "Gefügeprüfung 100Cr6")


def test_random_passwords_pass_their_own_rules() -> None:
    for _ in range(50):
        passwords.check_password(passwords.random_password(), "admin")


def test_hashes_are_argon2id_with_their_own_salt() -> None:
    first, second = passwords.hash_password(PASSWORD), passwords.hash_password(PASSWORD)
    assert first.startswith("$argon2id$")
    assert first != second


def test_session_cookie_is_new_at_each_sign_in_and_never_the_one_sent(station) -> None:
    client = station.client()
    client.cookies.set(COOKIE, "planted-by-somebody-else")
    answer = client.post(SIGN_IN, json={"name": "reviewer", "password": PASSWORD})
    first = answer.cookies[COOKIE]
    assert first != "planted-by-somebody-else"
    flags = answer.headers["set-cookie"].lower()
    assert "httponly" in flags
    assert "samesite=strict" in flags
    again = client.post(SIGN_IN, json={"name": "reviewer", "password": PASSWORD})
    assert again.cookies[COOKIE] != first
    assert visit_of(station.desk, first) is None  # the session that was sent has ended


def test_database_does_not_hold_cookies_tokens_or_passwords(station) -> None:
    begun = sign_in(station.desk, "operator", PASSWORD, "10.0.0.1")
    token = tokens.create_token(station.desk, begun.visit.actor, "microscope", [Permission.INSPECT])
    raw = b"".join(
        file.read_bytes() for file in station.desk.settings.home.iterdir() if file.name.startswith("station.sqlite")
    )
    for secret in (begun.cookie, token.secret, PASSWORD):
        assert secret.encode() not in raw


def test_session_ends_when_idle_and_in_any_case(station) -> None:
    begun = sign_in(station.desk, "operator", PASSWORD, "10.0.0.1")
    assert visit_of(station.desk, begun.cookie) is not None
    for column, long_ago in (("seen_at", station.desk.settings.idle_s + 5), ("expires_at", 5)):
        begun = sign_in(station.desk, "operator", PASSWORD, "10.0.0.1")
        with station.desk.database.write() as session:
            digest = sessions.digest_of(begun.cookie)
            changed = update(tables.Session).where(tables.Session.digest == digest)
            session.execute(changed.values({column: _ago(long_ago)}))
        assert visit_of(station.desk, begun.cookie) is None, column


def test_sign_out_ends_the_session_on_the_server(station) -> None:
    client = station.client("operator")
    cookie = client.cookies[COOKIE]
    assert client.post("/api/v1/auth/sign-out").status_code == 204
    client.cookies.set(COOKIE, cookie)
    assert client.get("/api/v1/me").status_code == 401


def test_change_without_the_csrf_token_is_refused(station) -> None:
    client = station.client("administrator")
    token = client.headers.pop("X-CSRF-Token")
    new = {"name": "j.doe", "full_name": "Jane Doe", "role": "operator"}
    assert client.post("/api/v1/users", json=new).status_code == 403
    assert client.post("/api/v1/users", json=new, headers={"X-CSRF-Token": token[:-1] + "x"}).status_code == 403
    other = station.client("operator").headers["X-CSRF-Token"]
    assert client.post("/api/v1/users", json=new, headers={"X-CSRF-Token": other}).status_code == 403
    assert client.post("/api/v1/users", json=new, headers={"X-CSRF-Token": token}).status_code == 201


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_other_sites_can_neither_sign_anybody_in_nor_change_anything(station, headers) -> None:
    client = station.client("administrator")
    assert client.post(SIGN_IN, json={"name": "reviewer", "password": PASSWORD}, headers=headers).status_code == 403
    assert client.post("/api/v1/tokens", json={"name": "x", "scopes": ["look"]}, headers=headers).status_code == 403
    same = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/v1/tokens", json={"name": "x", "scopes": ["look"]}, headers=same).status_code == 201


def test_unknown_names_wrong_passwords_and_closed_accounts_get_one_answer(station) -> None:
    admin = station.actors["administrator"]
    change_account(station.desk, admin, station.actors["operator"].id, active=False, reason="left the company")
    answers = [
        station.client().post(SIGN_IN, json={"name": name, "password": password})
        for name, password in (("nobody.known", PASSWORD), ("reviewer", PASSWORD + "!"), ("operator", PASSWORD))
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


def test_an_unknown_name_costs_a_comparison_too(station, monkeypatch) -> None:
    compared = []
    real = passwords._HASHER.verify

    class Counting:
        def verify(self, stored, password):
            compared.append(stored)
            return real(stored, password)

        hash = passwords._HASHER.hash

    monkeypatch.setattr(passwords, "_HASHER", Counting())
    for name in ("nobody.known", "reviewer"):
        with pytest.raises(SignedOut):
            sign_in(station.desk, name, "a wrong password", "10.0.0.9")
    assert len(compared) == 2


def test_guessing_slows_down_but_the_owner_elsewhere_does_not_wait(station, standing_clock) -> None:
    told = []
    for _ in range(10):
        with pytest.raises((SignedOut, TooOften)) as refused:
            sign_in(station.desk, "reviewer", "a wrong password", "203.0.113.5")
        told.append(refused.type)
    assert told == [SignedOut] * 3 + [TooOften] * 7  # typing errors are human
    with pytest.raises(TooOften):
        sign_in(station.desk, "reviewer", PASSWORD, "203.0.113.5")  # even the right one waits there
    assert sign_in(station.desk, "reviewer", PASSWORD, "198.51.100.7").visit.actor.name == "reviewer"


def test_waits_double_up_to_a_quarter_of_an_hour(station) -> None:
    subject = brakes.pair("reviewer", "203.0.113.5")
    waits = []
    for failures in range(3, 16):
        with station.desk.database.write() as session:
            session.execute(update(tables.Attempt).values(subject="address:elsewhere"))
            session.add_all(tables.Attempt(subject=subject, at=_ago(0)) for _ in range(failures))
        with station.desk.database.write() as session, pytest.raises(TooOften) as refused:
            brakes.count_attempt(session, subject, at=_ago(0))
        waits.append(refused.value.wait_s)
    expected = [min(2.0**k, 900.0) for k in range(13)]
    assert waits == pytest.approx(expected, abs=0.9)  # the clock runs between the two


def test_one_address_cannot_try_many_names(station, standing_clock) -> None:
    for number in range(20):
        with pytest.raises(SignedOut):
            sign_in(station.desk, f"guess{number}", "a wrong password", "203.0.113.6")
    with pytest.raises(TooOften):
        sign_in(station.desk, "guess21", "a wrong password", "203.0.113.6")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:203.0.113.5", "203.0.113.5", True),
        ("203.0.113.5", "203.0.113.6", False),
    ],
)
def test_addresses_of_one_household_count_together(one: str, other: str, same: bool) -> None:
    assert (brakes.network(one) == brakes.network(other)) is same


def test_first_password_must_be_changed_before_anything_else(station) -> None:
    made = create_account(station.desk, station.actors["administrator"], "J.Doe", "Jane Doe", Role.SUPERVISOR)
    client = station.client()
    answer = client.post(SIGN_IN, json={"name": "j.doe", "password": made.password})
    assert answer.json()["permissions"] == []
    client.headers["X-CSRF-Token"] = answer.json()["csrf"]
    assert client.get("/api/v1/studies").status_code == 403
    assert client.post("/api/v1/tokens", json={"name": "x", "scopes": ["look"]}).status_code == 403
    assert client.post("/api/v1/me/password", json={"old": made.password, "new": "j.doe was here"}).status_code == 422
    assert client.post("/api/v1/me/password", json={"old": made.password, "new": PASSWORD}).status_code == 204
    assert client.get("/api/v1/studies").status_code == 200


def test_a_new_password_ends_all_other_sessions(station) -> None:
    here = sign_in(station.desk, "reviewer", PASSWORD, "10.0.0.1")
    there = sign_in(station.desk, "reviewer", PASSWORD, "10.0.0.2")
    change_own_password(station.desk, here.visit.actor, PASSWORD, PASSWORD + " new", here.visit.digest)
    assert visit_of(station.desk, here.cookie) is not None
    assert visit_of(station.desk, there.cookie) is None
    reset_password(station.desk, station.actors["administrator"], here.visit.actor.id, "forgotten")
    assert visit_of(station.desk, here.cookie) is None


def test_closing_an_account_ends_sessions_and_tokens(station) -> None:
    begun = sign_in(station.desk, "operator", PASSWORD, "10.0.0.1")
    token = tokens.create_token(station.desk, begun.visit.actor, "microscope", [Permission.INSPECT])
    admin = station.actors["administrator"]
    change_account(station.desk, admin, begun.visit.actor.id, active=False, reason="left the company")
    assert visit_of(station.desk, begun.cookie) is None
    with pytest.raises(SignedOut):
        tokens.actor_of_token(station.desk, token.secret)


def test_station_keeps_an_administrator(station) -> None:
    admin = station.actors["administrator"]
    for change in ({"active": False}, {"role": Role.OPERATOR}):
        with pytest.raises(Conflict):
            change_account(station.desk, admin, admin.id, reason="holidays", **change)


def test_everything_about_accounts_is_on_the_record_and_no_password_is(station) -> None:
    admin = station.actors["administrator"]
    made = create_account(station.desk, admin, "j.doe", "Jane Doe", Role.OPERATOR)
    with pytest.raises(SignedOut):
        sign_in(station.desk, "j.doe", "a wrong password", "10.0.0.1")
    visit = sign_in(station.desk, "j.doe", made.password, "10.0.0.1").visit
    change_own_password(station.desk, visit.actor, made.password, PASSWORD)
    change_account(station.desk, admin, made.account.id, role=Role.REVIEWER, reason="trained")
    reset = reset_password(station.desk, admin, made.account.id, "forgotten")
    assert _actions(station, "account/j.doe") == [
        "account.create", "session.refuse", "session.begin", "account.change-password", "account.change",
        "account.reset-password",
    ]  # fmt: skip
    entries = list_entries(station.desk, station.actors["auditor"], subject="account/j.doe")
    change = next(entry for entry in entries if entry.action == "account.change")
    assert (change.old["role"], change.new["role"], change.reason) == ("operator", "reviewer", "trained")
    with station.desk.database.read() as session:
        texts = [str(vars(row)) for row in session.scalars(select(tables.Entry))]
    assert not any(secret in text for text in texts for secret in (made.password, PASSWORD, reset.password, "argon2"))
    assert verify_record(station.desk).intact


def test_signing_asks_for_the_password_and_programs_cannot(station) -> None:
    reviewer = station.actors["reviewer"]
    assert accounts.confirm(station.desk, reviewer, PASSWORD, "reviewed") == "reviewed"
    with pytest.raises(Refused):
        accounts.confirm(station.desk, reviewer, PASSWORD + "!", "reviewed")
    with pytest.raises(InputError):
        accounts.confirm(station.desk, reviewer, PASSWORD, "glanced at")
    secret = tokens.create_token(station.desk, reviewer, "script", [Permission.REVIEW]).secret
    with pytest.raises(Refused):
        accounts.confirm(station.desk, tokens.actor_of_token(station.desk, secret), PASSWORD, "reviewed")


def test_token_has_its_scopes_only_as_long_as_its_owner_has_them(station) -> None:
    reviewer, admin = station.actors["reviewer"], station.actors["administrator"]
    client = station.client()
    made = tokens.create_token(station.desk, reviewer, "script", [Permission.LOOK, Permission.REVIEW])
    client.headers["Authorization"] = f"Bearer {made.secret}"
    assert client.get("/api/v1/studies").status_code == 200  # no cookie: no CSRF token is asked for
    assert tokens.actor_of_token(station.desk, made.secret).permissions == {Permission.LOOK, Permission.REVIEW}
    assert client.get("/api/v1/records").status_code == 403
    assert client.post("/api/v1/tokens", json={"name": "another", "scopes": ["look"]}).status_code == 403
    change_account(station.desk, admin, reviewer.id, role=Role.AUDITOR, reason="moved")
    assert tokens.actor_of_token(station.desk, made.secret).permissions == {Permission.LOOK}


def test_tokens_cannot_exceed_their_owner_nor_keep_accounts(station) -> None:
    with pytest.raises(Refused):
        tokens.create_token(station.desk, station.actors["operator"], "x", [Permission.REVIEW])
    with pytest.raises(Refused):
        tokens.create_token(station.desk, station.actors["administrator"], "x", [Permission.MANAGE_ACCOUNTS])
    for role, actor in station.actors.items():
        for scope in GRANTED[Role(role)] - tokens.NEVER:
            tokens.create_token(station.desk, actor, "x", [scope])


def test_token_ends_when_revoked_or_over(station) -> None:
    operator = station.actors["operator"]
    made = tokens.create_token(station.desk, operator, "x", [Permission.LOOK])
    with pytest.raises(InputError):
        tokens.revoke_token(station.desk, station.actors["reviewer"], made.token.id)  # somebody else's is not there
    tokens.revoke_token(station.desk, operator, made.token.id)
    late = tokens.create_token(station.desk, operator, "y", [Permission.LOOK])
    with station.desk.database.write() as session:
        session.execute(update(tables.Token).where(tables.Token.id == late.token.id).values(expires_at=_ago(1)))
    for secret in (made.secret, late.secret, "sorby_nonsense"):
        with pytest.raises(SignedOut):
            tokens.actor_of_token(station.desk, secret)


def test_what_a_program_did_stands_under_its_name(station) -> None:
    made = tokens.create_token(station.desk, station.actors["supervisor"], "script", [Permission.ORGANISE])
    client = station.client()
    client.headers["Authorization"] = f"Bearer {made.secret}"
    content = {"kind": "consensus", "content": {"cues": ["mirror", "mist"]}}
    assert client.put("/api/v1/templates/cues", json=content).status_code == 200
    entry = list_entries(station.desk, station.actors["auditor"], subject="template/cues")[0]
    assert entry.actor == "supervisor by token script"


def test_answers_tell_browsers_to_be_careful(station) -> None:
    answer = station.client().get("/api/v1/health")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_a_flood_from_one_address_waits_and_others_do_not() -> None:
    allowance = Allowance(5.0)  # fifty at once, then five a second
    waits = [allowance.take("203.0.113.5", 100.0) for _ in range(51)]
    assert waits == [0.0] * 50 + [pytest.approx(0.2)]
    assert allowance.take("198.51.100.7", 100.0) == 0.0
    assert [allowance.take("203.0.113.5", 101.0) == 0.0 for _ in range(6)] == [True] * 5 + [False]


def test_large_bodies_are_refused_with_and_without_their_length(station) -> None:
    client = station.client()
    body = b'{"name": "' + b"x" * station.desk.settings.body_bytes + b'", "password": "x"}'
    headers = {"Content-Type": "application/json"}
    assert client.post(SIGN_IN, content=body, headers=headers).status_code == 413

    def pieces():
        for start in range(0, len(body), 1 << 16):
            yield body[start : start + (1 << 16)]

    assert client.post(SIGN_IN, content=pieces(), headers=headers).status_code == 413
