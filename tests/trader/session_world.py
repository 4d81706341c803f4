"""A scripted world with a desk.db, a venue that answers orders, and what a session's processes are started with."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pkgutil import resolve_name
from typing import Any

import msgspec

from brokers.broker import AccountSnapshot
from brokers.model import (
    Account,
    Balance,
    Duration,
    Instrument,
    Link,
    Order,
    OrderStatus,
    OrderType,
    Position,
    Side,
    Trail,
)
from feeds.config import AccountLimits, ConnectionConfig, Timing
from feeds.messages import (
    AccountSeen,
    AskHistory,
    HistoryRead,
    InstrumentRead,
    OrdersSeen,
    ReadInstrument,
    ReadToken,
    Snapshot,
    Token,
)
from feeds.specs import plain
from supervisor.errors import HttpFailed, StoreFailed
from supervisor.messages import Done, Predecessor, Request
from supervisor.process.world import HttpReply
from tests.scripted_parts import HttpRequest, MemoryStore
from tests.scripted_world import ScriptedWorld
from trader.manager.account_manager import AccountManager
from trader.messages import Attach, Cursor, Declared, SetWanted, Turn
from trader.risk.limits import DEFAULTS, Limits
from trader.sessions import Code, Session
from trader.store import desk

NAME, ACCOUNT, SYMBOL = "s", "SIM1", "SPY"
MANAGER, TRADER, SOURCE = (f"sessions/{NAME}/{child}" for child in ("account_manager", "trader", "data_source"))
CONNECTION = "connections/sim/connection"
BOOKS = f"connections/sim/books/{ACCOUNT}"
JOURNAL = f"sessions/{NAME}.db"
TIMING = Timing()
SIDES = {"BUY": Side.BUY, "BUYTOCOVER": Side.BUY, "SELL": Side.SELL, "SELLSHORT": Side.SELL}
TYPES = {"Market": OrderType.MARKET, "StopMarket": OrderType.STOP_MARKET, "Limit": OrderType.LIMIT}
DURATIONS = {"GTC": Duration.GTC, "GCP": Duration.GTC_EXTENDED, "DAY": Duration.DAY}
OPENED_UTC = 1_381_154_400

SESSION = Session(
    name=NAME,
    strategy="x.py",
    class_name="Example",
    code_sha256="0",
    account=ACCOUNT,
    symbols=(SYMBOL,),
    connection="sim",
    start_no=1,
)
ARGUMENTS: dict[str, Any] = {
    "session": NAME,
    "connection": msgspec.to_builtins(ConnectionConfig("sim", "http://api", "http://signin", "client", "login.json")),
    "timing": msgspec.to_builtins(TIMING),
}


class SessionWorld(ScriptedWorld):
    """Applies our schemas, which are tuples of SQL counted by user_version, as the real store does."""

    def store(self, path: str, *, schema: str | None = None) -> MemoryStore:
        if schema is None and path not in self.stores:
            raise StoreFailed(f"store {path} cannot be opened: there is none")
        store = self.stores[path] = self.stores.get(path) or MemoryStore(path, self.trace)
        migrations = resolve_name(schema) if schema is not None else ()
        (done,) = store.connection.execute("PRAGMA user_version").fetchone()
        for number, sql in enumerate(migrations[done:], start=done + 1):
            store.connection.executescript(sql)
            store.connection.execute(f"PRAGMA user_version = {number}")
        return store

    def next_incarnation(self, predecessor: Predecessor | None = None) -> SessionWorld:
        following = super().next_incarnation(predecessor)
        following.__class__ = SessionWorld
        assert isinstance(following, SessionWorld)
        return following


def session_world(name: str, session: Session = SESSION, source: str = "") -> SessionWorld:
    world = SessionWorld(name)
    store = world.store(desk.DESK_DB, schema="trader.store.desk:migrations")
    desk.write_session(store, session)  # type: ignore[arg-type]
    desk.write_code(store, Code("0", "x.py", source))  # type: ignore[arg-type]
    world.answer(CONNECTION, ReadToken, Token("token", 1e12))
    world.answer(BOOKS, ReadInstrument, InstrumentRead(Instrument(SYMBOL, "STOCK", Decimal("0.01"), Decimal(1))))
    world.answer("recorder", SetWanted, Done())
    world.peers |= {BOOKS, TRADER, CONNECTION}
    return world


class Desk:
    """An account manager over a small venue: orders it accepts appear in ``orders``, nothing fills by itself."""

    def __init__(
        self, session: Session = SESSION, *, limits: Limits = DEFAULTS, of_account: AccountLimits | None = None
    ) -> None:
        connection = msgspec.convert(ARGUMENTS["connection"], ConnectionConfig)
        if of_account is not None:
            connection = msgspec.structs.replace(connection, account_limits={ACCOUNT: of_account})
        self.arguments = {**ARGUMENTS, "connection": plain(connection), "limits": plain(limits)}
        self.world = session_world(MANAGER, session)
        self.orders: dict[str, Order] = {}
        self.history: dict[str, Order] = {}
        self.numbers, self.reads = itertools.count(1), itertools.count(1)
        self.position = 0
        self.status, self.equity, self.day_trades = "Active", Decimal(100_000), None
        self.stamp = OPENED_UTC
        self.on_order: Any = None
        self.refuse_leg = ""
        self.early_children = False
        self.last: Decimal | None = None
        self.world.answer_http("POST", "/orderexecution/orders", self._placed)
        self.world.answer_http("PUT", "/orderexecution/orders/", self._changed)
        self.world.answer_http("DELETE", "/orderexecution/orders/", self._cancelled)
        self.start()

    # -- the venue ---------------------------------------------------------------------------------------------------

    def _placed(self, request: HttpRequest) -> Any:
        if self.on_order is not None:
            answer = self.on_order(request)
            if answer is not None:
                return answer
        return self.accept(request)

    @contextmanager
    def answers_lost(self, *, taken: bool = True) -> Iterator[None]:
        """Meanwhile no placing gets its answer. ``taken``: it has reached the venue all the same."""

        def lost(request: HttpRequest) -> HttpReply:
            if taken:
                self.accept(request)
            raise HttpFailed("time-out", sent=True)

        self.on_order = lost
        yield
        self.on_order = None

    def accept(self, request: HttpRequest) -> HttpReply:
        """Children wait for their parent; one that ``refuse_leg`` names is refused, its parent all the same taken."""
        body = msgspec.json.decode(request.body or b"")
        parent = self._book(body)
        told = [{"Message": "Sent order", "OrderID": parent}]
        for group in body.get("OSOs", ()):
            legs = []
            for leg in group["Orders"]:
                if leg["OrderType"] == self.refuse_leg:
                    told.append({"Error": "FAILED", "Message": "Order failed. Reason: no", "OrderID": ""})
                    continue
                legs.append(self._book(leg, OrderStatus.RECEIVED, Link("OSP", parent)))
                told.append({"Message": "Sent order", "OrderID": legs[-1]})
            for leg_id in legs if group["Type"] == "BRK" else ():
                ties = tuple(Link("BRK", other) for other in legs if other != leg_id)
                self.change(leg_id, links=(*self.orders[leg_id].links, *ties))
        return reply({"Orders": told})

    def _book(self, body: dict[str, Any], status: OrderStatus = OrderStatus.WORKING, *links: Link) -> str:
        order_id = str(next(self.numbers))
        trail = body.get("AdvancedOptions", {}).get("TrailingStop")
        self.orders[order_id] = Order(
            order_id=order_id,
            account=ACCOUNT,
            symbol=SYMBOL,
            side=SIDES[body["TradeAction"]],
            type=TYPES[body["OrderType"]],
            quantity=Decimal(body["Quantity"]),
            status=status,
            venue_status="ACK" if status is OrderStatus.WORKING else "OSO",
            opened_utc=float(int(self.world.now_utc())),
            stop_price=Decimal(body["StopPrice"]) if "StopPrice" in body else None,
            limit_price=Decimal(body["LimitPrice"]) if "LimitPrice" in body else None,
            duration=DURATIONS[body["TimeInForce"]["Duration"]],
            trail=Trail(amount=Decimal(trail["Amount"])) if trail else None,
            links=links,
        )
        return order_id

    def _changed(self, request: HttpRequest) -> HttpReply:
        order_id, body = request.url.rsplit("/", 1)[1], msgspec.json.decode(request.body or b"")
        order = self.orders[order_id]
        changes: dict[str, Any] = {"quantity": Decimal(body.get("Quantity", order.quantity))}
        if not order.working or changes["quantity"] <= order.filled_quantity:
            return reply({"Error": "BadRequest", "Message": "Not an open order."}, 400)
        if "StopPrice" in body:
            changes["stop_price"] = Decimal(body["StopPrice"])
        if "LimitPrice" in body:
            changes["limit_price"] = Decimal(body["LimitPrice"])
        if body.get("OrderType") == "Market":
            changes |= {"type": OrderType.MARKET, "stop_price": None, "trail": None}
        self.orders[order_id] = msgspec.structs.replace(order, **changes)
        return reply({"Message": "Cancel/Replace order sent.", "OrderID": order_id})

    def _cancelled(self, request: HttpRequest) -> HttpReply:
        order_id = request.url.rsplit("/", 1)[1]
        if not self.orders[order_id].working:
            return reply({"Error": "BadRequest", "Message": "Not an open order."}, 400)
        self.change(order_id, status=OrderStatus.CANCELLED)
        for child in list(self.orders.values()):
            if Link("OSP", order_id) in child.links and child.status is OrderStatus.RECEIVED:
                self.change(child.order_id, status=OrderStatus.CANCELLED)
        return reply({"Message": "Cancel request sent", "OrderID": order_id})

    def change(self, order_id: str, **changes: Any) -> None:
        self.orders[order_id] = msgspec.structs.replace(self.orders[order_id], **changes)

    def fill(self, order_id: str, price: str = "167", quantity: int | None = None) -> None:
        """The order, or a part of it, fills at the venue; nobody is told."""
        order = self.orders[order_id]
        part = order.quantity - order.filled_quantity if quantity is None else Decimal(quantity)
        filled = order.filled_quantity + part
        self.position += order.side.sign * int(part)
        self.change(
            order_id,
            status=OrderStatus.FILLED if filled == order.quantity else OrderStatus.WORKING,
            filled_quantity=filled,
            average_fill_price=Decimal(price),
        )
        self.ties_of(order_id, part)

    def ties_of(self, order_id: str, filled: Decimal) -> None:
        """What the venue does by itself: it sends what waited for this order, and ends what is tied to it."""
        whole = self.early_children or not self.orders[order_id].working
        for each in list(self.orders.values()):
            linked = {link.relation for link in each.links if link.order_id == order_id}
            if "OSP" in linked and each.status is OrderStatus.RECEIVED and whole:
                self.change(each.order_id, status=OrderStatus.WORKING, venue_status="ACK")
            elif "BRK" in linked and each.working:
                left = each.quantity - filled
                lives = left > each.filled_quantity
                self.change(each.order_id, **({"quantity": left} if lives else {"status": OrderStatus.CANCELLED}))

    def by_hand(self, quantity: int, *, shown: bool = True) -> None:
        """A person trades on the phone; ``shown`` False: the position changes with no order to show for it."""
        self.position += quantity
        side = Side.BUY if quantity > 0 else Side.SELL
        if shown:
            order_id = f"hand{next(self.numbers)}"
            amount = Decimal(abs(quantity))
            self.orders[order_id] = Order(
                order_id, ACCOUNT, SYMBOL, side, OrderType.MARKET, amount, OrderStatus.FILLED, "FLL",
                self.world.now_utc(), amount, Decimal(167),
            )  # fmt: skip

    # -- what the account manager is told ----------------------------------------------------------------------------

    def start(self) -> None:
        self.manager = self.world.start(AccountManager, self.arguments)

    def restart(self) -> None:
        """kill -9, and the next incarnation."""
        self.world = self.world.next_incarnation()
        self.start()

    def stream(self) -> None:
        self.world.deliver(OrdersSeen(tuple(self.orders.values()), False, self.world.now_s()))

    def read(self, *, requested_s: float | None = None) -> None:
        """The books publish a good snapshot."""
        self.world.advance(0.01)
        now_s = self.world.now_s()
        position = Position(ACCOUNT, SYMBOL, Decimal(self.position), Decimal(167))
        content = AccountSnapshot(
            ACCOUNT,
            tuple(self.orders.values()),
            (position,) if self.position else (),
            Balance(ACCOUNT, self.equity, self.equity, self.day_trades),
            {SYMBOL: self.last} if self.last is not None else {},
        )
        at_s = now_s if requested_s is None else requested_s
        self.world.deliver(Snapshot(next(self.reads), at_s, content))
        account = Account(ACCOUNT, "Margin", self.status, "USD")
        self.world.deliver(AccountSeen(account, Decimal(100_000), {}))

    def settle(self) -> None:
        """Reads and, where it is searched, history, until nothing can be on its way any more."""
        for _ in range(16):
            self.world.advance(5.0)
            self.read()
            self.search()

    def search(self) -> None:
        """The books answer what was asked of history."""
        asked = [message for to, message in self.world.casts if to == BOOKS and isinstance(message, AskHistory)]
        self.world.casts[:] = [each for each in self.world.casts if not isinstance(each[1], AskHistory)]
        for one in asked:
            self.world.deliver(HistoryRead(self.world.now_s(), one.since_utc, tuple(self.history.values())))

    def remembers(self, memory: str, window_s: float = 0.0) -> None:
        """How long the venue is said to remember a key."""
        account = self.manager.account
        account.capabilities = msgspec.structs.replace(
            account.capabilities, id_dedupe=memory, id_dedupe_window_s=window_s
        )

    def attach(self, start_no: int = 1) -> Any:
        return self.world.ask(Attach(start_no, self.world.incarnation))

    def ready(self) -> None:
        """Instrument known, position agreed, trader attached."""
        self.world.advance(1.0)
        self.read()
        self.attach()

    def declare(self, quantity: int, stop: str | None = "166", *, seen: int | None = None, late: bool = False) -> Any:
        """A bar's turn that declares an exposure, on a bar that has just closed."""
        self.stamp = max(self.stamp + 60, int(self.world.now_utc()))
        price = None if stop is None else Decimal(stop)
        return self.world.ask(
            Turn(
                start_no=1,
                state=b"",
                rows_seen=self.manager.journal.newest_row if seen is None else seen,
                bar=Cursor(SYMBOL, 60, self.stamp),
                late=late,
                declarations=(Declared(SYMBOL, Decimal(quantity), price),),
            )
        )

    def long_and_covered(self) -> None:
        """One unit long with its stop working, all known and agreed: order 1 filled, order 2 the stop."""
        self.ready()
        self.declare(1)
        self.fill("1")
        self.stream()
        self.stream()
        self.read()

    # -- what it did -------------------------------------------------------------------------------------------------

    def sent(self, method: str = "") -> list[str]:
        return [r.method for r in self.world.requests if r.method != "GET" and method in r.method]

    def rows(self) -> list[Any]:
        return [row.content for row in self.manager.journal.rows_after(0)]

    def events(self) -> list[str]:
        return [row["kind"] for row in self.query("SELECT kind FROM events ORDER BY number")]

    def query(self, sql: str) -> list[dict[str, Any]]:
        return self.world.stores[JOURNAL].query(sql)

    def asked(self, kind: type[Request[Any]]) -> list[Any]:
        return [request for _, request in self.world.calls if isinstance(request, kind)]


def reply(body: dict[str, Any], status: int = 200) -> HttpReply:
    return HttpReply(status, {}, msgspec.json.encode(body))
