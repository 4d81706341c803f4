"""The client over a scripted HTTP: addresses, paging, tokens, and what an HTTP status means."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from brokers.broker import HttpReply
from brokers.errors import BadAnswer, LoginRefused, NotAllowed, Unavailable
from brokers.model import Accepted, Change, OrderType, Placing, Side, Unknown
from brokers.tradestation.client import TradeStation
from tests.brokers import golden


class Reply(msgspec.Struct):
    status: int
    body: bytes = b""
    headers: dict[str, str] = {}


class Venue:
    """Answers by method and path; a list is answered one after the other. Keeps what was asked."""

    def __init__(self, **answers: object) -> None:
        self.answers: dict[str, object] = {}
        self.asked: list[tuple[str, str, dict[str, str], bytes | None]] = []
        self.tokens = ["token-1", "token-2", "token-3"]
        self.refused: list[str] = []
        self.token_error: Exception | None = None

    def __call__(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout_s: float
    ) -> HttpReply:
        assert timeout_s == 7.0
        self.asked.append((method, url, dict(headers), body))
        answer = self.answers[f"{method} {urlsplit(url).path}"]
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Reply)
        return answer

    def token(self, refused: str = "") -> str:
        if self.token_error:
            raise self.token_error
        if refused:
            self.refused.append(refused)
            self.tokens.pop(0)
        return self.tokens[0]


@pytest.fixture
def venue() -> Venue:
    return Venue()


@pytest.fixture
def client(venue: Venue) -> TradeStation:
    return TradeStation("https://sim.example/", venue, venue.token, 7.0)


ACCOUNT = "/v3/brokerage/accounts/SIM100001F"


def whole_account(venue: Venue) -> None:
    venue.answers[f"GET {ACCOUNT}/orders"] = Reply(200, golden.ORDERS)
    venue.answers[f"GET {ACCOUNT}/positions"] = Reply(200, golden.POSITIONS)
    venue.answers[f"GET {ACCOUNT}/balances"] = Reply(200, golden.BALANCES)


def placing() -> Placing:
    return Placing("key", "SIM100001F", "ESZ26", Side.BUY, Decimal(1), OrderType.MARKET)


def test_a_snapshot_is_orders_positions_and_balance(venue: Venue, client: TradeStation) -> None:
    whole_account(venue)
    snapshot = client.snapshot("SIM100001F")
    assert [order.order_id for order in snapshot.orders] == ["1200000001"]
    assert [held.symbol for held in snapshot.positions] == ["ESZ26"]
    assert snapshot.balance.equity_usd == 100125
    assert venue.asked[0][2]["Authorization"] == "Bearer token-1"


@pytest.mark.parametrize("part", ["orders", "positions", "balances"])
@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (Reply(200, golden.PARTIAL), (BadAnswer, NotAllowed)),
        (Reply(200, b""), BadAnswer),
        (Reply(200, b'{"Orders":[],"Positions":[],"Balances":[],"Errors":[{"Error":"Forbidden"}]}'), NotAllowed),
        (Reply(503), Unavailable),
        (Reply(204), BadAnswer),
        (Reply(403, b'{"Error":"Forbidden","Message":"Invalid Account ID."}'), NotAllowed),
        (Unavailable("reset"), Unavailable),
    ],
)
def test_a_snapshot_with_a_bad_part_is_none(
    venue: Venue, client: TradeStation, part: str, bad: object, error: type[Exception]
) -> None:
    whole_account(venue)
    venue.answers[f"GET {ACCOUNT}/{part}"] = bad
    with pytest.raises(error):
        client.snapshot("SIM100001F")


@pytest.mark.parametrize("part", ["orders", "positions", "balances"])
def test_a_snapshot_that_speaks_of_another_account_is_none(venue: Venue, client: TradeStation, part: str) -> None:
    whole_account(venue)
    reply = venue.answers[f"GET {ACCOUNT}/{part}"]
    assert isinstance(reply, Reply)
    venue.answers[f"GET {ACCOUNT}/{part}"] = Reply(200, reply.body.replace(b"SIM100001F", b"SIM999999F"))
    with pytest.raises(BadAnswer, match="SIM999999F"):
        client.snapshot("SIM100001F")


def test_an_account_without_a_balance_is_no_answer(venue: Venue, client: TradeStation) -> None:
    whole_account(venue)
    venue.answers[f"GET {ACCOUNT}/balances"] = Reply(200, b'{"Balances":[],"Errors":[]}')
    with pytest.raises(BadAnswer, match="0 balances"):
        client.snapshot("SIM100001F")


def test_all_pages_are_read(venue: Venue, client: TradeStation) -> None:
    whole_account(venue)
    second = golden.ORDERS.replace(b"1200000001", b"1200000009")
    first = golden.ORDERS.replace(b'"Errors":[]', b'"Errors":[],"NextToken":"to/ken="')
    venue.answers[f"GET {ACCOUNT}/orders"] = [Reply(200, first), Reply(200, second)]
    assert [order.order_id for order in client.snapshot("SIM100001F").orders] == ["1200000001", "1200000009"]
    assert parse_qs(urlsplit(venue.asked[1][1]).query) == {"nextToken": ["to/ken="]}


def test_a_page_that_fails_fails_the_whole(venue: Venue, client: TradeStation) -> None:
    whole_account(venue)
    first = golden.ORDERS.replace(b'"Errors":[]', b'"NextToken":"next"')
    venue.answers[f"GET {ACCOUNT}/orders"] = [Reply(200, first), Reply(504)]
    with pytest.raises(Unavailable):
        client.snapshot("SIM100001F")


def test_pages_without_end_are_an_error(venue: Venue, client: TradeStation) -> None:
    whole_account(venue)
    venue.answers[f"GET {ACCOUNT}/orders"] = Reply(200, golden.ORDERS.replace(b'"Errors":[]', b'"NextToken":"n"'))
    with pytest.raises(BadAnswer, match="no end"):
        client.snapshot("SIM100001F")


def test_orders_by_id_are_asked_fifty_at_a_time(venue: Venue, client: TradeStation) -> None:
    ids = [str(number) for number in range(51)]
    for part in (ids[:50], ids[50:]):
        path = ",".join(part)
        venue.answers[f"GET {ACCOUNT}/orders/{path}"] = Reply(
            200, golden.ORDERS.replace(b"1200000001", part[0].encode())
        )
    assert [order.order_id for order in client.orders_by_id("SIM100001F", ids)] == ["0", "50"]


def test_symbols_are_encoded(venue: Venue, client: TradeStation) -> None:
    venue.answers["GET /v3/marketdata/symbols/%40ES"] = Reply(200, golden.SYMBOLS)
    client.instrument("@ES")
    venue.answers["GET /v3/marketdata/symbols/MSFT%20251219P300"] = Reply(200, golden.SYMBOLS)
    client.instrument("MSFT 251219P300")


def test_history_is_asked_by_dates_and_cut_at_the_borders(venue: Venue, client: TradeStation) -> None:
    venue.answers["GET /v3/marketdata/barcharts/ESZ26"] = Reply(200, golden.BARS)
    stamp = 1795186860
    assert len(client.bars_since("ESZ26", 60, stamp - 1, stamp)) == 1
    assert client.bars_since("ESZ26", 60, stamp, stamp + 60) == ()
    assert parse_qs(urlsplit(venue.asked[0][1]).query) == {
        "interval": ["1"],
        "unit": ["Minute"],
        "firstdate": ["2026-11-20T15:00:59Z"],
        "lastdate": ["2026-11-20T15:01:00Z"],
    }


def test_a_long_history_is_read_in_parts(venue: Venue, client: TradeStation) -> None:
    venue.answers["GET /v3/marketdata/barcharts/ESZ26"] = Reply(200, golden.BARS)
    client.bars_since("ESZ26", 60, 1795186860 - 100_000 * 60, 1795186860)
    assert len(venue.asked) == 2


def test_a_history_of_more_than_three_years_is_read_in_parts(venue: Venue, client: TradeStation) -> None:
    venue.answers["GET /v3/marketdata/barcharts/ESZ26"] = Reply(200, golden.BARS)
    client.bars_since("ESZ26", 3600, 1795186860 - 4 * 365 * 86_400, 1795186860)
    assert len(venue.asked) == 2


def test_more_minutes_back_than_the_venue_counts_are_not_asked_for(venue: Venue, client: TradeStation) -> None:
    with pytest.raises(NotAllowed, match="500000 minutes back"):
        client.recent_bars("ESZ26", 3600, 9000)
    assert venue.asked == []


@pytest.mark.parametrize("interval_s", [30, 90, 1441 * 60, 0])
def test_an_interval_that_the_venue_has_not_is_refused(client: TradeStation, interval_s: int) -> None:
    with pytest.raises(NotAllowed, match="whole minutes"):
        client.recent_bars("ESZ26", interval_s, 1)


def test_recent_bars_asks_for_one_more_as_the_last_may_be_forming(venue: Venue, client: TradeStation) -> None:
    venue.answers["GET /v3/marketdata/barcharts/ESZ26"] = Reply(200, golden.BARS)
    assert len(client.recent_bars("ESZ26", 86_400, 5)) == 1
    assert parse_qs(urlsplit(venue.asked[0][1]).query) == {
        "interval": ["1"],
        "unit": ["Daily"],
        "barsback": ["6"],
    }


def test_a_429_tells_how_long_to_wait(venue: Venue, client: TradeStation) -> None:
    headers = {"x-ratelimit-reset": "42", "retry-after": "1"}
    venue.answers["GET /v3/brokerage/accounts"] = Reply(
        429, b'{"Error":"TooManyRequests","Message":"Rate quota exceeded"}', headers
    )
    with pytest.raises(Unavailable, match="Rate quota exceeded") as caught:
        client.accounts()
    assert caught.value.retry_after_s == 42.0


# -- tokens --------------------------------------------------------------------------------------------------------


def test_a_read_answered_401_is_sent_once_more_with_another_token(venue: Venue, client: TradeStation) -> None:
    venue.answers["GET /v3/brokerage/accounts"] = [Reply(401), Reply(200, golden.ACCOUNTS)]
    assert len(client.accounts()) == 2
    assert venue.refused == ["token-1"]
    assert venue.asked[1][2]["Authorization"] == "Bearer token-2"


def test_a_second_401_is_a_refused_login(venue: Venue, client: TradeStation) -> None:
    venue.answers["GET /v3/brokerage/accounts"] = Reply(401)
    with pytest.raises(LoginRefused):
        client.accounts()
    assert len(venue.asked) == 2


def test_a_placing_answered_401_was_not_executed_and_goes_out_once_more(venue: Venue, client: TradeStation) -> None:
    venue.answers["POST /v3/orderexecution/orders"] = [Reply(401), Reply(200, golden.PLACED)]
    assert client.place(placing()) == Accepted("1200000002")


def test_a_placing_is_never_sent_twice_for_any_other_reason(venue: Venue, client: TradeStation) -> None:
    for answer in (Reply(503), Reply(429), Reply(408), Reply(200, b""), Unavailable("time-out")):
        venue.asked.clear()
        venue.answers["POST /v3/orderexecution/orders"] = answer
        outcome = client.place(placing())
        assert isinstance(outcome, Unknown)
        assert outcome.sent
        assert len(venue.asked) == 1


def test_a_placing_that_never_left_is_known_not_to_have_been_sent(venue: Venue, client: TradeStation) -> None:
    venue.answers["POST /v3/orderexecution/orders"] = Unavailable("connection refused", sent=False)
    assert client.place(placing()) == Unknown("connection refused", sent=False)


@pytest.mark.parametrize("error", [LoginRefused("login needed"), Unavailable("no token", sent=False)])
def test_without_a_token_nothing_is_sent(venue: Venue, client: TradeStation, error: Exception) -> None:
    venue.token_error = error
    outcome = client.cancel("1")
    assert isinstance(outcome, Unknown)
    assert not outcome.sent
    assert venue.asked == []


def test_replace_and_cancel_name_the_order(venue: Venue, client: TradeStation) -> None:
    whole_account(venue)
    (order,) = client.snapshot("SIM100001F").orders
    venue.answers["PUT /v3/orderexecution/orders/1200000001"] = Reply(200, golden.REPLACED)
    venue.answers["DELETE /v3/orderexecution/orders/1200000001"] = Reply(200, golden.CANCELLED)
    assert client.replace(order, Change(to_market=True)) == Accepted("1200000002")
    assert client.cancel("1200000001") == Accepted("1200000002")


# -- streams -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ask", "url", "version"),
    [
        (
            lambda client: client.bars_stream("@ES", 300, 2),
            "https://sim.example/v3/marketdata/stream/barcharts/%40ES?interval=5&unit=Minute&barsback=2",
            2,
        ),
        (lambda client: client.orders_stream("A"), "https://sim.example/v3/brokerage/stream/accounts/A/orders", 3),
        (
            lambda client: client.positions_stream("A"),
            "https://sim.example/v3/brokerage/stream/accounts/A/positions?changes=false",
            3,
        ),
    ],
)
def test_a_stream_is_asked_for(
    client: TradeStation, ask: Callable[[TradeStation], object], url: str, version: int
) -> None:
    request = msgspec.to_builtins(ask(client))
    assert request["url"] == url
    assert request["headers"] == {
        "Accept": f"application/vnd.tradestation.streams.v{version}+json",
        "Accept-Encoding": "identity",
        "Authorization": "Bearer token-1",
    }
