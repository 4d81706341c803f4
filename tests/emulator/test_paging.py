"""Pages of orders: all once, whatever the size and whatever comes meanwhile; tokens of one use and one hour."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from brokers.tradestation.emulator.paging import Pages, page
from tests.emulator.support import FUTURES, Emulator, flat_bars, market

ORDERS = f"/v3/brokerage/accounts/{FUTURES}/orders"


@given(count=st.integers(0, 60), size=st.integers(1, 20), arrivals=st.lists(st.integers(0, 3), max_size=70))
def test_pages_hold_each_order_once_though_others_come_meanwhile(count: int, size: int, arrivals: list[int]) -> None:
    newest, seen, after_id = 990 + count, [], ""
    ids = [str(number) for number in range(newest, 990, -1)]
    there_at_first = list(ids)
    for extra in [*arrivals, *[0] * 80]:
        start, end = page(ids, after_id, size)
        seen += ids[start:end]
        if end >= len(ids):
            break
        after_id = ids[end - 1]
        ids = [str(newest + n) for n in range(extra, 0, -1)] + ids
        newest += extra
    assert seen == there_at_first


def with_orders(count: int) -> Emulator:
    emulator = Emulator(market(ESZ13=flat_bars(1, 30)))
    for _ in range(count):
        emulator.place(OrderType="StopMarket", StopPrice="1100")
    return emulator


def test_a_token_leads_to_the_next_page_once() -> None:
    emulator = with_orders(5)
    first = emulator.get(ORDERS, pagesize="2")
    second = emulator.get(ORDERS, pagesize="2", nexttoken=first["NextToken"])
    last = emulator.get(ORDERS, pagesize="2", nexttoken=second["NextToken"])
    ids = [order["OrderID"] for got in (first, second, last) for order in got["Orders"]]
    assert ids == [f"120000000{n}" for n in (5, 4, 3, 2, 1)]
    assert "NextToken" not in last
    status, body = emulator.reply("GET", ORDERS, nexttoken=first["NextToken"])
    assert (status, body["Error"]) == (400, "BadRequest")
    assert "nextToken" in body["Message"]


def test_a_token_is_valid_for_one_hour_and_its_own_list() -> None:
    emulator = with_orders(3)
    token = emulator.get(ORDERS, pagesize="2")["NextToken"]
    emulator.state.ledger.access_tokens[emulator.token] = float("inf")
    other = "/v3/brokerage/accounts/SIM100001M/orders"
    assert emulator.reply("GET", other, nexttoken=token)[0] == 400
    token = emulator.get(ORDERS, pagesize="2")["NextToken"]
    emulator.pass_time(3600)
    assert emulator.reply("GET", ORDERS, nexttoken=token)[0] == 400
    token = emulator.get(ORDERS, pagesize="2")["NextToken"]
    emulator.pass_time(3599)
    assert len(emulator.get(ORDERS, nexttoken=token)["Orders"]) == 1


def test_tokens_that_nobody_uses_are_forgotten() -> None:
    pages = Pages()
    first = pages.give("list", "1", 0.0)
    for _ in range(10_000):
        pages.give("list", "1", 0.0)
    assert len(pages._places) == 10_000
    assert first not in pages._places
