"""What an emulator cannot be started with is said before anything is opened."""

from __future__ import annotations

import socket
from decimal import Decimal

import pytest

from brokers.tradestation.emulator.book import AccountSpec
from brokers.tradestation.emulator.errors import OptionError
from brokers.tradestation.emulator.server import listening
from brokers.tradestation.emulator.state import Settings, check_settings


@pytest.mark.parametrize(
    "settings",
    [
        Settings(accounts=()),
        Settings(accounts=(AccountSpec("A", "Cash", Decimal(1)), AccountSpec("A", "Cash", Decimal(2)))),
        Settings(heartbeat_s=0.0),
        Settings(token_lifetime_s=float("nan")),
    ],
)
def test_settings_out_of_bounds_are_refused(settings: Settings) -> None:
    with pytest.raises(OptionError):
        check_settings(settings)


def test_the_defaults_are_within_their_bounds() -> None:
    check_settings(Settings())


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OptionError, match=f"port {port} of 127.0.0.1 cannot be had .* give another one"):
            listening(port)
