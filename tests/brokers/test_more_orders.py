"""Limit, stop-limit and trailing orders, groups and children; history, quotes: written and read as documented."""

import json
from collections.abc import Callable
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest

from brokers.broker import GoAway, QuoteItem, StreamError
from brokers.errors import BadAnswer, NotAllowed, Unavailable
from brokers.model import (
    Change,
    Duration,
    Group,
    Grouped,
    GroupKind,
    Link,
    OrderType,
    Placing,
    Quote,
    RefusedByVenue,
    Side,
    Trail,
    Unknown,
)
from brokers.tradestation import frames, wire
from brokers.tradestation.client import TradeStation
from brokers.tradestation.instructions import change_body, group_body, placing_body
from brokers.tradestation.shapes import OrderShape, decoded
from tests.brokers import golden
from tests.brokers.test_client import ACCOUNT, Reply, Venue, whole_account


def order(key: str, kind: OrderType, side: Side = Side.SELL, **more: object) -> Placing:
    return Placing(key, "SIM100001F", "ESZ26", side, Decimal(1), kind, **more)  # type: ignore[arg-type]


TARGET = order("k-1", OrderType.LIMIT, limit_price=Decimal("6030"))
STOP = order("k-2", OrderType.STOP_MARKET, stop_price=Decimal("6004"))
EXITS = Group(GroupKind.BRACKET, (TARGET, STOP))


@pytest.fixture
def venue() -> Venue:
    return Venue()


@pytest.fixture
def client(venue: Venue) -> TradeStation:
    return TradeStation("https://sim.example/", venue, venue.token, 7.0)


# -- what is sent --------------------------------------------------------------------------------------------------


def test_a_stop_limit_order_has_both_prices() -> None:
    sent = json.loads(
        placing_body(order("k", OrderType.STOP_LIMIT, stop_price=Decimal("1E+1"), limit_price=Decimal(9)))
    )
    assert (sent["OrderType"], sent["StopPrice"], sent["LimitPrice"]) == ("StopLimit", "10", "9")


@pytest.mark.parametrize(
    ("trail", "written"),
    [(Trail(amount=Decimal(10)), {"Amount": "10"}), (Trail(percent=Decimal("5.0")), {"Percent": "5.0"})],
)
def test_a_trailing_stop_is_a_stop_market_order_with_an_option(trail: Trail, written: dict[str, str]) -> None:
    sent = json.loads(placing_body(order("k", OrderType.STOP_MARKET, trail=trail)))
    assert sent["OrderType"] == "StopMarket"
    assert sent["AdvancedOptions"] == {"TrailingStop": written}
    assert "StopPrice" not in sent


@pytest.mark.parametrize("both", [{}, {"amount": Decimal(1), "percent": Decimal(1)}])
def test_a_trail_is_one_of_the_two(both: dict[str, Decimal]) -> None:
    with pytest.raises(ValueError, match="one of them"):
        Trail(**both)


@pytest.mark.parametrize(
    ("kind", "prices"),
    [
        (OrderType.MARKET, {"limit_price": Decimal(1)}),
        (OrderType.LIMIT, {}),
        (OrderType.LIMIT, {"limit_price": Decimal(1), "stop_price": Decimal(1)}),
        (OrderType.STOP_MARKET, {}),
        (OrderType.STOP_LIMIT, {"stop_price": Decimal(1)}),
        (OrderType.LIMIT, {"limit_price": Decimal(1), "trail": Trail(amount=Decimal(1))}),
    ],
)
def test_an_order_without_its_prices_is_never_sent(kind: OrderType, prices: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"price|trails"):
        placing_body(order("k", kind, **prices))


def test_a_group_is_written_as_documented_with_a_key_for_each_leg() -> None:
    sent = json.loads(group_body(EXITS))
    assert sent["Type"] == "BRK"
    assert [(each["OrderType"], each["OrderConfirmID"]) for each in sent["Orders"]] == [
        ("Limit", "k-1"),
        ("StopMarket", "k-2"),
    ]


@pytest.mark.parametrize(
    ("group", "why"),
    [
        (Group(GroupKind.OCO, (TARGET,)), "two or more"),
        (Group(GroupKind.OCO, (TARGET, TARGET)), "the same key"),
        (Group(GroupKind.BRACKET, (TARGET, order("k-3", OrderType.MARKET, Side.BUY))), "one side"),
    ],
)
def test_what_is_no_group_is_not_sent(group: Group, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        group_body(group)


def test_children_are_written_under_their_parent() -> None:
    sent = json.loads(placing_body(order("k", OrderType.MARKET, Side.BUY, children=(EXITS,))))
    assert [(each["Type"], len(each["Orders"])) for each in sent["OSOs"]] == [("BRK", 2)]


def test_a_replace_can_move_a_limit_and_a_trail() -> None:
    assert json.loads(change_body(Change(limit_price=Decimal("6031"), trail=Trail(amount=Decimal(4))))) == {
        "LimitPrice": "6031",
        "AdvancedOptions": {"TrailingStop": {"Amount": "4"}},
    }


# -- what the answers prove ----------------------------------------------------------------------------------------


def test_all_legs_accepted_is_whole(venue: Venue, client: TradeStation) -> None:
    venue.answers["POST /v3/orderexecution/ordergroups"] = Reply(200, golden.GROUP_PLACED)
    told = client.place_group(EXITS)
    assert told == Grouped(2, ("1200000005", "1200000006"), ())
    assert told.whole


def test_one_leg_accepted_and_one_refused_is_both(venue: Venue, client: TradeStation) -> None:
    venue.answers["POST /v3/orderexecution/ordergroups"] = Reply(200, golden.GROUP_MIXED)
    told = client.place_group(EXITS)
    assert isinstance(told, Grouped)
    assert (told.order_ids, [each.order_id for each in told.refusals]) == (("1200000005",), ["1200000006"])
    assert (told.whole, told.missing) == (False, 0)


def test_a_leg_that_the_answer_does_not_tell_of_is_missing(venue: Venue, client: TradeStation) -> None:
    venue.answers["POST /v3/orderexecution/orders"] = Reply(200, golden.GROUP_PLACED)
    told = client.place_with_children(order("k", OrderType.MARKET, Side.BUY, children=(EXITS,)))
    assert isinstance(told, Grouped)
    assert (told.legs, told.missing, told.whole) == (3, 1, False)


def test_a_group_that_cannot_be_built_is_refused_in_each_leg(venue: Venue, client: TradeStation) -> None:
    body = b'{"Error":"BadRequest","Message":"Failed to build order: FAILED, INVALID SYMBOL"}'
    venue.answers["POST /v3/orderexecution/ordergroups"] = Reply(400, body)
    told = client.place_group(EXITS)
    assert isinstance(told, Grouped)
    assert [type(each) for each in told.refusals] == [RefusedByVenue, RefusedByVenue]


@pytest.mark.parametrize("reply", [Reply(503), Reply(408), Reply(200, b""), Reply(200, b"{}"), Reply(302), Reply(400)])
def test_a_group_of_unknown_fate_was_sent_once(venue: Venue, client: TradeStation, reply: Reply) -> None:
    venue.answers["POST /v3/orderexecution/ordergroups"] = reply
    told = client.place_group(EXITS)
    assert isinstance(told, Unknown)
    assert told.sent
    assert len(venue.asked) == 1


def test_an_order_with_children_has_more_than_one_outcome(client: TradeStation) -> None:
    with pytest.raises(ValueError, match="place_with_children"):
        client.place(order("k", OrderType.MARKET, Side.BUY, children=(EXITS,)))


# -- what is read --------------------------------------------------------------------------------------------------


def test_trail_group_and_expiry_of_an_order_are_read() -> None:
    (read,) = wire.orders(decoded(golden.TRAILING_ORDER_LINE, OrderShape))
    assert (read.trail, read.links) == (Trail(percent=Decimal(5)), (Link("OCO", "1200000008"),))


def test_historical_orders_are_asked_since_a_date_page_by_page(venue: Venue, client: TradeStation) -> None:
    first = golden.ORDERS.replace(b'"Errors":[]', b'"Errors":[],"NextToken":"n+1"')
    second = golden.ORDERS.replace(b"1200000001", b"1200000009")
    venue.answers[f"GET {ACCOUNT}/historicalorders"] = [Reply(200, first), Reply(200, second)]
    read = client.historical_orders("SIM100001F", 1795186860.0)
    assert [each.order_id for each in read] == ["1200000001", "1200000009"]
    asked = [parse_qs(urlsplit(url).query) for _, url, _, _ in venue.asked]
    assert asked == [{"since": ["2026-11-20"]}, {"since": ["2026-11-20"], "nextToken": ["n+1"]}]


def test_historical_orders_by_id(venue: Venue, client: TradeStation) -> None:
    venue.answers[f"GET {ACCOUNT}/historicalorders/1200000001"] = Reply(200, golden.ORDERS)
    assert len(client.historical_orders("SIM100001F", 1795186860.0, ["1200000001", "1200000001"])) == 1


@pytest.mark.parametrize("read", ["orders", "positions", "balance"])
def test_each_part_of_an_account_can_be_read_alone(venue: Venue, client: TradeStation, read: str) -> None:
    whole_account(venue)
    assert getattr(client, read)("SIM100001F")
    assert len(venue.asked) == 1


def test_quotes_are_read_in_the_sequence_asked(venue: Venue, client: TradeStation) -> None:
    venue.answers["GET /v3/marketdata/quotes/ESZ26"] = Reply(200, golden.QUOTES)
    (quote,) = client.quotes(["ESZ26"])
    assert (quote.bid, quote.ask, quote.last) == (Decimal("6020.75"), Decimal("6021"), Decimal("6020.75"))
    assert (quote.delayed, quote.halted, quote.traded_utc) == (False, False, 1795186859.0)


def test_a_quote_that_was_not_asked_for_or_is_missing_is_no_answer(venue: Venue, client: TradeStation) -> None:
    venue.answers["GET /v3/marketdata/quotes/NQZ26"] = Reply(200, golden.QUOTES)
    with pytest.raises(BadAnswer, match="ESZ26"):
        client.quotes(["NQZ26"])


def test_a_symbol_unknown_among_several_is_told_by_its_name(venue: Venue, client: TradeStation) -> None:
    body = b'{"Symbols":[],"Errors":[{"Symbol":"ZZ","Error":"NotFound","Message":"Symbol not found."}]}'
    venue.answers["GET /v3/marketdata/symbols/ZZ,ESZ26"] = Reply(200, body)
    with pytest.raises(NotAllowed, match=r"Symbol not found\. \(ZZ\)"):
        client.instruments(["ZZ", "ESZ26"])


def test_symbols_are_read_together(venue: Venue, client: TradeStation) -> None:
    venue.answers["GET /v3/marketdata/symbols/ESZ26"] = Reply(200, golden.SYMBOLS)
    assert [each.tick_size for each in client.instruments(["ESZ26", "ESZ26"])] == [Decimal("0.25")]


# -- the stream of quotes ------------------------------------------------------------------------------------------


def test_a_change_is_merged_into_the_quote_before_it() -> None:
    whole = Quote("ESZ26", bid=Decimal("6020.75"), ask=Decimal(6021), delayed=False)
    item = frames.quotes_item(golden.QUOTE_CHANGE)
    assert isinstance(item, QuoteItem)
    assert item.quote is not None
    assert whole.merged(item.quote) == Quote(
        "ESZ26", bid=Decimal(6021), ask=Decimal(6021), bid_size=Decimal(3), delayed=False
    )


def test_a_bad_symbol_does_not_end_the_stream_of_the_others() -> None:
    assert frames.quotes_item(golden.QUOTE_ERROR) == QuoteItem("X", error="FAILED, INVALID SYMBOL")


@pytest.mark.parametrize(("line", "kind"), [(golden.DUAL_LOGON, StreamError), (golden.GOAWAY_V2, GoAway)])
def test_what_ends_the_stream_ends_it_with_a_symbol_too(line: bytes, kind: type[object]) -> None:
    assert isinstance(frames.quotes_item(line), kind)


@pytest.mark.parametrize(
    ("ask", "end"),
    [
        (lambda client: client.quotes_stream(["@ES", "SPY"]), "/marketdata/stream/quotes/%40ES,SPY"),
        (lambda client: client.orders_by_id_stream("A", ["1", "2"]), "/brokerage/stream/accounts/A/orders/1,2"),
    ],
)
def test_more_streams_are_asked_for(client: TradeStation, ask: Callable[[TradeStation], object], end: str) -> None:
    assert ask(client).url == "https://sim.example/v3" + end  # type: ignore[attr-defined]


def test_a_stream_of_no_order_is_not_asked_for(client: TradeStation) -> None:
    with pytest.raises(NotAllowed):
        client.orders_by_id_stream("A", [])


# -- durations, and what is asked before an order --------------------------------------------------------------------


@pytest.mark.parametrize("duration", [each for each in Duration if not each.dated])
def test_each_duration_is_sent_as_it_is_read(duration: Duration) -> None:
    sent = json.loads(placing_body(order("k", OrderType.MARKET, Side.BUY, duration=duration)))["TimeInForce"]
    assert list(sent) == ["Duration"]
    assert wire.DURATIONS[sent["Duration"]] is duration


@pytest.mark.parametrize(("duration", "name"), [(Duration.GTD, "GTD"), (Duration.GTD_EXTENDED, "GDP")])
def test_an_order_to_a_date_names_it(duration: Duration, name: str) -> None:
    dated = order("k", OrderType.MARKET, Side.BUY, duration=duration, good_till_utc=1_381_154_400.0)
    told = json.loads(placing_body(dated))["TimeInForce"]
    assert told == {"Duration": name, "Expiration": "2013-10-07T14:00:00Z"}


@pytest.mark.parametrize(("duration", "date"), [(Duration.GTD, None), (Duration.GTC, 1.0), (Duration.DAY, 1.0)])
def test_a_date_belongs_to_a_dated_order_and_to_no_other(duration: Duration, date: float | None) -> None:
    with pytest.raises(ValueError, match="date to be good till"):
        placing_body(order("k", OrderType.MARKET, Side.BUY, duration=duration, good_till_utc=date))


def test_a_confirmation_carries_no_key_of_order_or_child(venue: Venue, client: TradeStation) -> None:
    told = b'{"Confirmations":[{"AccountID":"A","EstimatedPrice":"1.5","EstimatedCost":10,"EstimatedCommission":"1"}]}'
    venue.answers["POST /v3/orderexecution/orderconfirm"] = Reply(200, told)
    venue.answers["POST /v3/orderexecution/ordergroupconfirm"] = Reply(200, told)
    (estimate,) = client.confirm(order("k", OrderType.MARKET, Side.BUY, children=(EXITS,)))
    assert (estimate.price, estimate.cost_usd, estimate.commission_usd) == (Decimal("1.5"), Decimal(10), Decimal(1))
    assert len(client.confirm_group(EXITS)) == 1
    assert all(b"OrderConfirmID" not in (asked[3] or b"") for asked in venue.asked)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(400, b'{"Error":"BadRequest","Message":"EC601"}'), NotAllowed),
        (Reply(503), Unavailable),
        (Reply(200, b"{}"), BadAnswer),
        (Reply(200, b'{"Confirmations":[],"Errors":[{"Error":"Forbidden","Message":"no"}]}'), NotAllowed),
    ],
)
def test_a_confirmation_that_is_none_raises(
    venue: Venue, client: TradeStation, reply: Reply, error: type[Exception]
) -> None:
    venue.answers["POST /v3/orderexecution/orderconfirm"] = reply
    with pytest.raises(error):
        client.confirm(order("k", OrderType.MARKET, Side.BUY))
