"""What is sent to place and change orders, and what the answers prove."""

import json
from decimal import Decimal

import pytest

from brokers.model import (
    Accepted,
    Change,
    Duration,
    OrderType,
    Placing,
    RefusedByVenue,
    Side,
    Unknown,
)
from brokers.tradestation.instructions import change_body, outcome, placing_body
from tests.brokers import golden


def placing(**changes: object) -> Placing:
    fields = {
        "key": "k3v9q0x7m2c8b1n5z4a6wt",
        "account": "SIM100001F",
        "symbol": "ESZ26",
        "side": Side.BUY,
        "quantity": Decimal(1),
        "type": OrderType.LIMIT,
        "limit_price": Decimal("6015.25"),
    }
    return Placing(**(fields | changes))  # type: ignore[arg-type]


def test_a_limit_order_is_written_as_documented() -> None:
    assert json.loads(placing_body(placing())) == {
        "AccountID": "SIM100001F",
        "Symbol": "ESZ26",
        "Quantity": "1",
        "OrderType": "Limit",
        "LimitPrice": "6015.25",
        "TradeAction": "BUY",
        "TimeInForce": {"Duration": "DAY"},
        "Route": "Intelligent",
        "OrderConfirmID": "k3v9q0x7m2c8b1n5z4a6wt",
    }


@pytest.mark.parametrize(
    ("side", "short", "kind", "action"),
    [
        (Side.SELL, True, "STOCK", "SELLSHORT"),
        (Side.BUY, True, "STOCK", "BUYTOCOVER"),
        (Side.BUY, False, "STOCK", "BUY"),
        (Side.SELL, False, "STOCK", "SELL"),
        (Side.SELL, True, "FUTURE", "SELL"),
        (Side.BUY, True, "FUTURE", "BUY"),
    ],
)
def test_shorts_of_stocks_have_actions_of_their_own(side: Side, short: bool, kind: str, action: str) -> None:
    body = json.loads(placing_body(placing(side=side, short=short, kind=kind)))
    assert body["TradeAction"] == action


def test_a_protective_stop_is_good_till_cancelled_and_has_its_price() -> None:
    stop = placing(
        side=Side.SELL,
        type=OrderType.STOP_MARKET,
        limit_price=None,
        stop_price=Decimal("6000.50"),
        duration=Duration.GTC,
    )
    body = json.loads(placing_body(stop))
    assert (body["OrderType"], body["StopPrice"], body["TradeAction"]) == ("StopMarket", "6000.50", "SELL")
    assert body["TimeInForce"] == {"Duration": "GTC"}
    assert "LimitPrice" not in body


def test_numbers_are_written_without_an_exponent() -> None:
    body = json.loads(placing_body(placing(quantity=Decimal("1E+2"), limit_price=Decimal("1E-7"))))
    assert (body["Quantity"], body["LimitPrice"]) == ("100", "0.0000001")


@pytest.mark.parametrize("key", ["", "x" * 23])
def test_a_key_that_the_venue_would_not_keep_apart_is_not_sent(key: str) -> None:
    with pytest.raises(ValueError, match="1 to 22"):
        placing_body(placing(key=key))


def test_a_change_says_only_what_changes() -> None:
    assert json.loads(change_body(Change(stop_price=Decimal("6001.25")))) == {"StopPrice": "6001.25"}
    assert json.loads(change_body(Change(quantity=Decimal(2)))) == {"Quantity": "2"}
    assert json.loads(change_body(Change(to_market=True))) == {"OrderType": "Market"}


@pytest.mark.parametrize(
    ("body", "order_id"),
    [
        (golden.PLACED, "1200000002"),
        (b"[" + golden.PLACED + b"]", "1200000002"),
        (golden.REPLACED, "1200000002"),
        (golden.CANCELLED, "1200000002"),
    ],
)
def test_accepted(body: bytes, order_id: str) -> None:
    assert outcome(200, body) == Accepted(order_id)


def test_a_refusal_comes_inside_a_200() -> None:
    assert outcome(200, golden.PLACING_REFUSED) == RefusedByVenue(
        reason="Order failed. Reason: EC602: You are short 0.00 shares!", order_id="1200000003"
    )


def test_a_refusal_can_come_as_errors() -> None:
    body = golden.PLACING_REFUSED.replace(b'"Orders"', b'"Orders":[],"Errors"')
    assert isinstance(outcome(200, body), RefusedByVenue)


def test_a_used_key_is_told_from_other_refusals() -> None:
    refused = outcome(200, golden.PLACING_DUPLICATE)
    assert isinstance(refused, RefusedByVenue)
    assert refused.duplicate


@pytest.mark.parametrize(
    ("words", "dead"),
    [
        ("Not an open order.", True),
        ("Failed to Cancel/Replace order: Not an open order.", True),
        ("Invalid order ID.", True),
        ("Cancel/Replace not allowed after cancel has been attempted", False),
        ("Failed to build order: FAILED, INVALID SYMBOL", False),
    ],
)
def test_a_refusal_in_words_says_whether_the_order_is_dead(words: str, dead: bool) -> None:
    body = json.dumps({"Error": "BadRequest", "Message": words}).encode()
    assert outcome(400, body) == RefusedByVenue(reason=words, dead=dead)


@pytest.mark.parametrize("status", [408, 429, 500, 503, 504, 302])
def test_what_a_gateway_can_say_after_the_order_went_through_is_unknown(status: int) -> None:
    body = b'{"Error":"GatewayTimeout","Message":"in words"}'
    unknown = outcome(status, body)
    assert isinstance(unknown, Unknown)
    assert unknown.sent


@pytest.mark.parametrize("body", [b"", b"<html>Bad Request</html>", b"{}", b"null"])
def test_a_4xx_without_the_venues_words_is_unknown(body: bytes) -> None:
    assert isinstance(outcome(400, body), Unknown)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b"[]",
        b'{"Orders":[]}',
        b'{"Orders":[{"Message":"Sent order"}]}',
        b'{"Orders":[{"OrderID":"1"},{"OrderID":"2"}]}',
        b'{"Orders":[{"OrderID":"1"}],"Errors":[{"Error":"FAILED"}]}',
    ],
)
def test_a_200_that_says_neither_yes_nor_no_is_unknown(body: bytes) -> None:
    unknown = outcome(200, body)
    assert isinstance(unknown, Unknown)
    assert unknown.sent


def test_a_401_proves_that_nothing_was_executed() -> None:
    unknown = outcome(401, b"")
    assert isinstance(unknown, Unknown)
    assert not unknown.sent
