"""The token flow of a connection: single flight, stored before use, login needed."""

import json
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest

from feeds.login import Login
from supervisor.errors import HttpFailed, Refused
from supervisor.process.world import HttpReply
from tests.brokers import golden
from tests.feeds.parts import CONFIG, TIMING, ok
from tests.scripted_parts import HttpRequest
from tests.scripted_world import ScriptedWorld

START = {"client_secret": "very-secret", "refresh_token": "refresh-1", "comment": "mine"}


def stored(world: ScriptedWorld) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(world.files["login.json"])
    return content


def answers(world: ScriptedWorld, reply: object) -> None:
    world.answer_http("POST", "https://signin.example/oauth/token", reply)


@pytest.fixture
def world() -> ScriptedWorld:
    world = ScriptedWorld("connections/sim/connection")
    world.files["login.json"] = json.dumps(START).encode()
    answers(world, ok(golden.TOKEN))
    return world


@pytest.fixture
def login(world: ScriptedWorld) -> Login:
    return Login(world, CONFIG, TIMING)  # type: ignore[arg-type]


def test_a_token_is_fetched_with_what_the_file_holds(world: ScriptedWorld, login: Login) -> None:
    token = login.read()
    assert (token.access_token, token.expires_s) == ("eyJ.new", 2200.0)
    (request,) = world.requests
    assert parse_qs((request.body or b"").decode()) == {
        "grant_type": ["refresh_token"],
        "client_id": ["client-1"],
        "client_secret": ["very-secret"],
        "refresh_token": ["refresh-1"],
    }


def test_a_rotated_refresh_token_is_stored_before_anything_is_used(world: ScriptedWorld, login: Login) -> None:
    answers(world, ok(golden.TOKEN_ROTATED))
    login.read()
    assert stored(world) == START | {
        "refresh_token": "refresh-2",
        "access_token": "eyJ.new",
        "expires_s": 2200.0,
        "renewed_s": 1000.0,
        "rotating": True,
    }
    assert [what for what, _ in world.trace] == ["lock", "http", "write", "unlock"]


def test_a_token_that_cannot_be_stored_is_not_given(world: ScriptedWorld, login: Login) -> None:
    class FullDisk(Exception):
        pass

    def fail(data: bytes) -> None:
        raise FullDisk

    login.file.write = fail  # type: ignore[method-assign]
    with pytest.raises(FullDisk):
        login.read()
    assert login.token is None


def test_without_rotation_the_refresh_token_stays(world: ScriptedWorld, login: Login) -> None:
    login.read()
    assert stored(world)["refresh_token"] == "refresh-1"


def test_all_askers_get_one_token_until_a_minute_before_its_end(world: ScriptedWorld, login: Login) -> None:
    for _ in range(5):
        login.read()
    world.advance(1139.0)
    login.read()
    assert len(world.requests) == 1
    world.advance(1.0)
    login.read()
    assert len(world.requests) == 2


def test_what_another_connection_fetched_is_used(world: ScriptedWorld, login: Login) -> None:
    world.files["login.json"] = json.dumps(START | {"access_token": "theirs", "expires_s": 2000.0}).encode()
    assert login.read().access_token == "theirs"
    assert world.requests == []


def test_a_stored_token_that_the_venue_refused_is_replaced(world: ScriptedWorld, login: Login) -> None:
    """So is one of an earlier boot, whose machine time meant something else."""
    world.files["login.json"] = json.dumps(START | {"access_token": "theirs", "expires_s": 2000.0}).encode()
    login.read()
    assert login.read(refused="theirs").access_token == "eyJ.new"


def test_a_second_401_in_a_row_does_not_fetch_a_token_per_request(world: ScriptedWorld, login: Login) -> None:
    login.read()
    with pytest.raises(Refused, match="refuses a token that is 0 s old"):
        login.read(refused="eyJ.new")
    assert len(world.requests) == 1
    world.advance(10.0)
    answers(world, ok(golden.TOKEN.replace(b"eyJ.new", b"eyJ.newer")))
    assert login.read(refused="eyJ.new").access_token == "eyJ.newer"


def test_a_refused_login_pages_once_and_is_resolved_when_it_is_accepted(world: ScriptedWorld, login: Login) -> None:
    answers(world, HttpReply(403, {}, golden.INVALID_GRANT))
    for _ in range(50):
        with pytest.raises(Refused, match="login needed: invalid_grant"):
            login.read()
        world.advance(5.0)
    answers(world, ok(golden.TOKEN))
    world.advance(60.0)
    login.read()
    assert [(event.kind, event.level, event.incident, event.incident_state) for event in world.events] == [
        ("connection.login_needed", "PAGE", "login:sim", "opened"),
        ("connection.login_accepted", "NOTIFY", "login:sim", "resolved"),
    ]


def test_a_refused_login_is_tried_again_with_back_off(world: ScriptedWorld, login: Login) -> None:
    answers(world, HttpReply(403, {}, golden.INVALID_GRANT))
    for _ in range(600):
        with pytest.raises(Refused):
            login.read()
        world.advance(1.0)
    assert 15 <= len(world.requests) <= 25


def test_a_venue_that_cannot_be_asked_is_no_refused_login(world: ScriptedWorld, login: Login) -> None:
    for failure in (HttpFailed("no route", sent=False), HttpReply(503, {}, b""), ok(b"<html>")):
        answers(world, failure)
        with pytest.raises(Refused, match="no token:"):
            login.read()
        world.advance(60.0)
    assert world.events == []


def test_the_last_token_serves_until_it_expires_while_the_venue_is_away(world: ScriptedWorld, login: Login) -> None:
    login.read()
    answers(world, HttpFailed("no route", sent=False))
    world.advance(1199.0)
    assert login.read().access_token == "eyJ.new"
    world.advance(1.0)
    with pytest.raises(Refused):
        login.read()


def test_a_failure_between_does_not_end_login_needed(world: ScriptedWorld, login: Login) -> None:
    answers(world, HttpReply(403, {}, golden.INVALID_GRANT))
    with pytest.raises(Refused):
        login.read()
    world.advance(60.0)
    answers(world, HttpFailed("no route", sent=False))
    with pytest.raises(Refused, match="login needed"):
        login.read()
    world.advance(60.0)
    answers(world, HttpReply(403, {}, golden.INVALID_GRANT))
    with pytest.raises(Refused, match="login needed"):
        login.read()
    assert len(world.events) == 1


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}", b'{"refresh_token":5}', b"\xff"])
def test_a_missing_or_broken_token_file_is_login_needed_and_says_which_file(
    world: ScriptedWorld, login: Login, content: bytes | None
) -> None:
    del world.files["login.json"]
    if content is not None:
        world.files["login.json"] = content
    with pytest.raises(Refused, match=r"login needed: the token file login\.json"):
        login.read()


def test_a_login_that_another_connection_holds_too_long_is_no_token_now(world: ScriptedWorld, login: Login) -> None:
    world.locked_files.add("login.json")
    with pytest.raises(Refused, match=r"no token: login\.json"):
        login.read()


def test_the_life_of_a_token_counts_from_before_the_request(world: ScriptedWorld, login: Login) -> None:
    def slow(_: HttpRequest) -> HttpReply:
        world.advance(8.0)
        return ok(golden.TOKEN)

    answers(world, slow)
    assert login.read().expires_s == 2200.0


def test_no_secret_is_logged_or_told(world: ScriptedWorld, login: Login) -> None:
    answers(world, ok(golden.TOKEN_ROTATED))
    login.read()
    answers(world, HttpReply(403, {}, golden.INVALID_GRANT))
    world.advance(1200.0)
    with pytest.raises(Refused) as caught:
        login.read()
    told = world.log.text + str(caught.value) + str(world.events)
    assert told
    for secret in ("very-secret", "refresh-1", "refresh-2", "eyJ.new"):
        assert secret not in told


def test_a_token_file_that_others_may_read_is_not_used_and_heals_by_chmod(world: ScriptedWorld, login: Login) -> None:
    """As ssh does it with a private key: refused until its owner closes it."""
    world.modes["login.json"] = "0644"
    with pytest.raises(Refused, match=r"has mode 0644, others may use it: not used; chmod 600 login\.json"):
        login.read()
    assert not world.requests
    del world.modes["login.json"]
    world.advance(60.0)
    assert login.read().access_token == "eyJ.new"
    assert [event.incident_state for event in world.events] == ["opened", "resolved"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "is not there: sign in"),
        (b"\xff\xfe garbage", "is not JSON: sign in again"),
        (b"[]", "is not JSON: sign in again"),
        (b'{"client_secret": "very-secret"}', "does not serve: no refresh_token; sign in"),
        (b'{"refresh_token": 5, "client_secret": "very-secret"}', "does not serve: Expected `str`, got `int`"),
    ],
)
def test_a_token_file_that_does_not_serve_is_login_needed_and_left_as_it_is(
    world: ScriptedWorld, login: Login, content: bytes | None, says: str
) -> None:
    world.files.pop("login.json")
    if content is not None:
        world.files["login.json"] = content
    with pytest.raises(Refused) as refused:
        login.read()
    assert str(refused.value).startswith("login needed")
    assert says in str(refused.value)
    assert "very-secret" not in str(refused.value)
    assert world.files.get("login.json") == content
    assert [(event.kind, event.level) for event in world.events] == [("connection.login_needed", "PAGE")]


# -- secrets of whoever started the desk; sign-in while it runs; one login, two connections --------------------------


def form(world: ScriptedWorld) -> dict[str, list[str]]:
    return parse_qs((world.requests[-1].body or b"").decode())


def test_a_client_secret_laid_out_goes_before_the_files(world: ScriptedWorld, login: Login) -> None:
    world.secrets["nightdesk.client_secret"] = "from-systemd"
    login.read()
    assert form(world)["client_secret"] == ["from-systemd"]
    assert b"from-systemd" not in world.files["login.json"]


def test_a_refresh_token_laid_out_serves_until_the_file_has_one(world: ScriptedWorld, login: Login) -> None:
    world.secrets["nightdesk.refresh_token"] = "laid-out"
    del world.files["login.json"]
    answers(world, ok(golden.TOKEN_ROTATED))
    login.read()
    assert form(world)["refresh_token"] == ["laid-out"]
    assert stored(world)["refresh_token"] == "refresh-2"
    world.advance(1200.0)
    login.read()
    assert form(world)["refresh_token"] == ["refresh-2"]


def test_a_pkce_login_sends_no_secret(world: ScriptedWorld, login: Login) -> None:
    world.files["login.json"] = json.dumps(START | {"pkce": True}).encode()
    world.secrets["nightdesk.client_secret"] = "from-systemd"
    login.read()
    assert "client_secret" not in form(world)


def test_what_a_person_signed_in_with_is_used_at_once(world: ScriptedWorld, login: Login) -> None:
    answers(world, HttpReply(403, {}, golden.INVALID_GRANT))
    with pytest.raises(Refused, match="login needed"):
        login.read()
    signed_in = {"refresh_token": "fresh", "access_token": "eyJ.fresh", "expires_s": 2100.0, "signed_in_utc": 5.0}
    world.files["login.json"] = json.dumps(signed_in).encode()
    with pytest.raises(Refused, match="login needed"):
        login.read()
    login.forget()
    assert login.read().access_token == "eyJ.fresh"
    assert [event.incident_state for event in world.events] == ["opened", "resolved"]
    shown = login.shown(90.0)
    assert (shown.trouble, shown.signed_in_utc, shown.expires_s, shown.next_renewal_s) == ("", 5.0, 2100.0, 2010.0)


def test_two_connections_of_one_login_spend_each_rotating_token_once(world: ScriptedWorld) -> None:
    """The venue gives a new refresh token each time and takes an old one for theft."""
    living, spent = ["refresh-1"], []

    def rotate(request: HttpRequest) -> HttpReply:
        given = parse_qs((request.body or b"").decode())["refresh_token"][0]
        if given != living[-1]:
            return HttpReply(403, {}, golden.INVALID_GRANT)
        spent.append(given)
        living.append(f"refresh-{len(living) + 1}")
        number = str(len(living)).encode()
        return ok(
            golden.TOKEN_ROTATED.replace(b"refresh-2", b"refresh-" + number).replace(b"eyJ.new", b"eyJ." + number)
        )

    answers(world, rotate)
    sim = Login(world, CONFIG, TIMING)  # type: ignore[arg-type]
    live = Login(world, msgspec.structs.replace(CONFIG, name="live", environment="LIVE"), TIMING)  # type: ignore[arg-type]
    for turn in range(60):
        first, second = (sim, live) if turn % 2 else (live, sim)
        assert first.read(margin_s=90.0).access_token == second.read(margin_s=90.0).access_token
        world.advance(100.0)
    assert len(spent) == len(set(spent))
    assert stored(world)["rotating"] is True
    assert not world.events
