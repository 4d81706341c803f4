"""What an emulator cannot be started with is said before anything is opened."""

from __future__ import annotations

from decimal import Decimal

import pytest

from brokers.tradestation.emulator.book import AccountSpec
from brokers.tradestation.emulator.errors import OptionError
from brokers.tradestation.emulator.state import Settings, account_spec, check_settings


def test_an_account_is_named_with_its_type_and_cash() -> None:
    assert account_spec("SIM7F:Futures:25000") == AccountSpec("SIM7F", "Futures", Decimal(25000))


@pytest.mark.parametrize(
    "text", ["", "SIM7F", "SIM7F:Futures", ":Futures:1", "SIM7F:futures:1", "A:Cash:-1", "A:Cash:x:1"]
)
def test_a_malformed_account_says_how_it_must_look(text: str) -> None:
    with pytest.raises(OptionError, match="must be ID:TYPE:CASH"):
        account_spec(text)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(accounts=()),
        Settings(accounts=(account_spec("A:Cash:1"), account_spec("A:Cash:2"))),
        Settings(heartbeat_s=0.0),
        Settings(token_lifetime_s=float("nan")),
    ],
)
def test_settings_out_of_bounds_are_refused(settings: Settings) -> None:
    with pytest.raises(OptionError):
        check_settings(settings)


def test_the_defaults_are_within_their_bounds() -> None:
    check_settings(Settings())
