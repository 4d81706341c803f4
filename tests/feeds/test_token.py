"""How a process comes by its token."""

import pytest

from brokers.errors import LoginRefused, Unavailable
from feeds.messages import ReadToken, Token
from feeds.token import Tokens
from supervisor.errors import NoPeer, Refused
from tests.feeds.parts import CONFIG, CONNECTION, TIMING, with_tokens
from tests.scripted_world import ScriptedWorld


@pytest.fixture
def world() -> ScriptedWorld:
    return with_tokens(ScriptedWorld())


@pytest.fixture
def tokens(world: ScriptedWorld) -> Tokens:
    return Tokens(world, CONFIG, TIMING)  # type: ignore[arg-type]


def test_a_token_is_asked_for_once_and_used_until_a_minute_before_its_end(world: ScriptedWorld, tokens: Tokens) -> None:
    assert tokens() == "token-1"
    world.advance(1139.0)
    assert tokens() == "token-1"
    assert len(world.calls) == 1
    world.advance(1.5)
    tokens()
    assert len(world.calls) == 2


def test_a_refused_token_is_named_and_another_comes(world: ScriptedWorld, tokens: Tokens) -> None:
    tokens()
    assert tokens(refused="token-1") == "token-2"
    assert world.calls[-1] == (CONNECTION, ReadToken("token-1"))


def test_a_401_on_a_token_that_was_already_replaced_asks_nobody(world: ScriptedWorld, tokens: Tokens) -> None:
    tokens()
    tokens(refused="token-1")
    assert tokens(refused="token-1") == "token-2"
    assert len(world.calls) == 2


def test_without_the_connection_the_last_token_is_used_until_it_expires(world: ScriptedWorld, tokens: Tokens) -> None:
    tokens()
    world.answer(CONNECTION, ReadToken, NoPeer("connections/sim/connection is not there"))
    world.advance(1199.0)
    assert tokens() == "token-1"
    world.advance(1.0)
    with pytest.raises(Unavailable, match="is not there") as caught:
        tokens()
    assert not caught.value.sent


def test_a_connection_that_does_not_answer_is_not_asked_at_each_request(world: ScriptedWorld, tokens: Tokens) -> None:
    tokens()
    world.answer(CONNECTION, ReadToken, NoPeer("gone"))
    world.advance(1150.0)
    for _ in range(10):
        tokens()
    assert len(world.calls) == 2
    world.advance(5.0)
    tokens()
    assert len(world.calls) == 3


def test_login_needed_is_told_from_a_venue_that_cannot_be_asked(world: ScriptedWorld, tokens: Tokens) -> None:
    world.answer(CONNECTION, ReadToken, Refused("login needed: invalid_grant"))
    with pytest.raises(LoginRefused, match="invalid_grant"):
        tokens()
    world.answer(CONNECTION, ReadToken, Refused("no token: HTTP 503"))
    with pytest.raises(Unavailable, match="503"):
        tokens()


def test_no_token_is_ever_logged(world: ScriptedWorld, tokens: Tokens) -> None:
    world.answer(CONNECTION, ReadToken, Token("very-secret", world.now_s() + 100.0))
    tokens()
    world.answer(CONNECTION, ReadToken, NoPeer("gone"))
    world.advance(90.0)
    tokens()
    assert world.log.lines
    assert "very-secret" not in world.log.text
