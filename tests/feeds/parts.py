"""What the tests of the feeds share: a configuration, and a connection that gives tokens."""

from typing import Any

from feeds import specs
from feeds.config import ConnectionConfig, Timing
from feeds.messages import ReadToken, Token
from supervisor.process.world import HttpReply
from tests.scripted_world import ScriptedWorld

CONFIG = ConnectionConfig(
    name="sim",
    api_url="https://api.example",
    signin_url="https://signin.example",
    client_id="client-1",
    login_file="login.json",
)
TIMING = Timing()
CONNECTION = "connections/sim/connection"

FEED_NAMES = {"bars": "bars/ESZ26/60", "orders": "orders/SIM100001F", "positions": "positions/SIM100001F"}


def ok(body: bytes) -> HttpReply:
    return HttpReply(200, {}, body)


def feed_arguments(kind: str) -> dict[str, Any]:
    return specs.plain(specs.FeedArguments(CONFIG, TIMING, FEED_NAMES[kind]))


def with_tokens(world: ScriptedWorld) -> ScriptedWorld:
    """The connection gives token-1, and after it was refused token-2 ..."""
    given: list[str] = ["token-1"]

    def give(request: ReadToken) -> Token:
        if request.refused == given[-1]:
            given.append(f"token-{len(given) + 1}")
        return Token(given[-1], world.now_s() + 1200.0)

    world.answer(CONNECTION, ReadToken, give)
    return world
