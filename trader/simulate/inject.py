"""Faults put into a running simulation: on whatever runs at that moment, by its place in a sorted list."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any, Literal

import msgspec

from brokers.tradestation.emulator.errors import Refusal
from brokers.tradestation.emulator.order import Order
from feeds import paths
from supervisor.messages import Request
from supervisor.process.server import Caller
from supervisor.sim.desk import SimDesk
from trader.demo.script import Stand
from trader.desk.commands import LiftHold, SetHold
from trader.holds import EVERYBODY, HALT_FILE, HaltFile
from trader.messages import ReleaseHold
from trader.sessions import journal_path, manager_name
from trader.simulate.assembly import Machine
from trader.simulate.faults import QUIRK_S, Fault, Mishaps
from trader.simulate.moments import BY_NAME, Aimed
from trader.simulate.outside import EmulatorOutside
from trader.store.desk import DESK_DB
from trader.store.holds import read_holds

CONTROL = "control"
PERSON = "person"
PERSON_EVERY_S = 40.0
"""Somebody looks at the desk this often and releases what is held, else a night would soon only mind positions."""
MOVED_BY = Decimal(1)
"""Of price: four ticks of the future, a hundred of the stock."""
WHENS = ("before", "after")
FOUND = "SELECT 1 FROM holds WHERE why = 'found' AND symbol = ?"
PLACES = 1000
"""Into so many a fault's place is cut where it says two things: which venue, and when."""
FAR_PRICE = "1"
"""At which nobody ever sells."""
STREAM_MESSAGE = "injected by the simulation"


class Injector:
    """``life``: tells which is there now. ``injected``: faults that found something to hit."""

    def __init__(
        self,
        machine: Machine,
        stands: tuple[Stand, ...],
        mishaps: Mishaps,
        aimed: Aimed,
        life: Callable[[], SimDesk],
        new_life: Callable[[], None],
    ):
        self._machine = machine
        self._stands = stands
        self._mishaps = mishaps
        self._aimed = aimed
        self._life = life
        self._new_life = new_life
        self._asked = 0
        self.injected = 0
        self.left: dict[str, dict[str, Order]] = {name: {} for name in machine.venues}
        """What a person has left at the broker, by connection."""
        self.cancelled: dict[str, dict[str, float]] = {name: {} for name in machine.venues}
        """Orders of the desk that a person has cancelled, and when (market time), by connection."""

    def inject(self, fault: Fault, desk: SimDesk) -> None:
        self.injected += self._inject(fault, desk)

    def _inject(self, fault: Fault, desk: SimDesk) -> bool:
        match fault.kind:
            case "kill" | "die_at_boundary" | "freeze":
                return self._hit_process(fault, desk)
            case "die_at_moment":
                return self._aim(fault, desk)
            case "kill_supervisor":
                return self._kill_supervisor(fault, desk)
            case "kill_venue":
                return self._kill_venue(fault)
            case "halt_file":
                return self._halt_file(fault)
            case "hold" | "halt" | "flatten" | "flatten_all":
                return self._stop(fault, desk)
            case "lose_reply" | "quirk" if self._venue(fault).down:
                return False
            case "lose_reply":
                where = self._venue(fault)
                self._tell(where, "fault", fault="lose_reply", path=fault.role, when=fault.form, for_s=QUIRK_S)
                return True
            case "quirk":
                self._quirk(fault)
                return True
            case _ if self._venue_of(self._stand(fault)).down:
                return False
            case "hand_trade" | "hand_flat" | "hand_cancel" | "hand_order" | "hand_move":
                return self._by_hand(fault)
            case _:
                return self._hit_stream(fault)

    # -- processes -------------------------------------------------------------------------------------

    def _hit_process(self, fault: Fault, desk: SimDesk) -> bool:
        there = sorted(name for name in desk.kids if role_of(name) == fault.role)
        if desk.gone or not there:
            return False
        name = there[int(fault.place * len(there))]
        if fault.kind == "kill":
            return desk.kill_process(name)
        if fault.kind == "freeze":
            return desk.freeze(name, fault.seconds)
        self._mishaps.arm(name, fault.number)
        return True

    def _aim(self, fault: Fault, desk: SimDesk) -> bool:
        """It dies when it is there next; or the supervisor with all, where ``form`` says so."""
        point = BY_NAME[fault.role]
        there = sorted(name for name in desk.kids if role_of(name) == point.role)
        if desk.gone or not there:
            return False
        name = there[int(fault.place * len(there))]

        def kill() -> None:
            if fault.form == "supervisor":  # the kernel ends all: a process that runs can end only itself
                self._machine.kernel.post(0.0, self._end_life, fault, self._life())
            self._life().kill_process(name)

        self._aimed.aim(name, point, fault.number, kill)
        return True

    def _end_life(self, fault: Fault, desk: SimDesk) -> None:
        self._kill_supervisor(fault, desk)

    def _kill_supervisor(self, fault: Fault, desk: SimDesk) -> bool:
        if desk.gone:
            return False
        desk.kill_all()
        self._machine.kernel.after(fault.seconds, self._new_life)
        return True

    # -- the venue -------------------------------------------------------------------------------------

    def _kill_venue(self, fault: Fault) -> bool:
        outside, kernel = self._venue(fault), self._machine.kernel
        if outside.down:
            return False
        outside.kill()
        kernel.let_outside_go_on()
        kernel.after(fault.seconds, self._restart_venue, outside)
        return True

    def _restart_venue(self, outside: EmulatorOutside) -> None:
        outside.restart()
        self._machine.kernel.let_outside_go_on()

    def _hit_stream(self, fault: Fault) -> bool:
        stand = self._stand(fault)
        venue = self._venue_of(stand)
        target = {"symbol": stand.symbol} if fault.role == "bars" else {"account": stand.account}
        target["kind"] = fault.role
        match fault.kind:
            case "goaway":
                self._tell(venue, "goaway", **target, form=fault.form)
            case "stall":
                self._tell(venue, "stall", **target, seconds=fault.seconds)
            case "error":
                self._tell(venue, "error", **target, message=STREAM_MESSAGE)
            case _:
                self._tell(venue, "end", **target, how="reset" if fault.kind == "reset" else "close")
        return True

    def _by_hand(self, fault: Fault) -> bool:
        """A person at the broker's own screen. Before the session has agreed once, there is nothing to disturb."""
        stand, now_s = self._stand(fault), self._machine.kernel.now_s
        outside = self._venue_of(stand)
        if not self._agreed(stand):
            return False
        if fault.kind == "hand_cancel":
            return self._cancel_by_hand(stand)
        if fault.kind == "hand_order":
            return self._order_by_hand(stand)
        if fault.kind == "hand_move":
            return self._move_by_hand(stand)
        held = outside.state.ledger.accounts[stand.account].quantity(stand.symbol)
        quantity = -held if fault.kind == "hand_flat" else fault.number
        orders = (outside.state.ledger.orders[order_id] for order_id in outside.state.ledger.open_ids)
        waits = any(one.by_hand and one.order_type == "Market" and one.account == stand.account for one in orders)
        if not quantity or waits:  # in a closed market it lies there till the opening, and nobody sends dozens
            return False
        try:
            outside.tell("trade", now_s, account=stand.account, symbol=stand.symbol, quantity=quantity)
        except ValueError:
            return False  # the venue refuses it in words: a person cannot do it either
        self._machine.kernel.let_outside_go_on()
        return True

    def _cancel_by_hand(self, stand: Stand) -> bool:
        outside = self._venue_of(stand)
        orders = (outside.state.ledger.orders[order_id] for order_id in outside.state.ledger.open_ids)
        there = [order for order in orders if (order.account, order.symbol) == (stand.account, stand.symbol)]
        ours = [order for order in there if not order.by_hand]
        if not ours:
            return False
        try:
            outside.cancel_by_hand(ours[0].order_id, self._machine.kernel.now_s)
        except Refusal:
            return False  # it was filled at this very moment
        self.cancelled[stand.connection][ours[0].order_id] = outside.market_utc(self._machine.kernel.now_s)
        self._machine.kernel.let_outside_go_on()
        return True

    def _move_by_hand(self, stand: Stand) -> bool:
        """The stop, away from the market. Only where the venue leaves it its id: under another one it would be the
        person's, by all that anybody can tell."""
        outside = self._venue_of(stand)
        orders = (outside.state.ledger.orders[order_id] for order_id in outside.state.ledger.open_ids)
        there = [order for order in orders if (order.account, order.symbol) == (stand.account, stand.symbol)]
        ours = [order for order in there if not order.by_hand and order.stop_price is not None and not order.waiting]
        if not ours or not outside.state.switches.replace_keeps_id:
            return False
        order = ours[0]
        assert order.stop_price is not None
        away = MOVED_BY if order.is_buy else -MOVED_BY
        try:
            outside.move_by_hand(order.order_id, order.stop_price + away, self._machine.kernel.now_s)
        except Refusal:
            return False  # it is being filled at this very moment
        self._machine.kernel.let_outside_go_on()
        return True

    def _quirk(self, fault: Fault) -> None:
        """Of whatever comes along next."""
        about = {"fault": fault.role, "times": fault.number, "for_s": QUIRK_S, "seconds": fault.seconds}
        if fault.role == "status":
            about |= {"status": fault.number, "times": 1, "path": fault.form, "when": WHENS[int(fault.place * 2)]}
        elif fault.role == "unknown_status":
            about["text"] = "XYZ"
        elif fault.role in ("late_booking", "inert_stop"):
            about["path"] = "POST *"
        self._tell(self._venue(fault), "fault", **about)

    def _order_by_hand(self, stand: Stand) -> bool:
        """Far from the market: it is to lie there."""
        outside = self._venue_of(stand)
        try:
            order = outside.order_by_hand(stand.account, stand.symbol, 1, FAR_PRICE, self._machine.kernel.now_s)
        except Refusal:
            return False  # a short position that it would close instead of opening one
        self.left[stand.connection][order.order_id] = order
        self._machine.kernel.let_outside_go_on()
        return True

    def _tell(self, venue: EmulatorOutside, path: str, /, **body: object) -> None:
        venue.tell(path, self._machine.kernel.now_s, **body)
        self._machine.kernel.let_outside_go_on()

    def _venue(self, fault: Fault) -> EmulatorOutside:
        """The one that is hit, whoever trades there."""
        venues = tuple(self._machine.venues.values())
        return venues[int(fault.place * PLACES) % len(venues)]

    def _venue_of(self, stand: Stand) -> EmulatorOutside:
        return self._machine.venues[stand.connection]

    # -- the person at the desk ------------------------------------------------------------------------

    def _halt_file(self, fault: Fault) -> bool:
        """What `nightdesk halt` does first, whoever is dead just then."""
        self._asked += 1
        file = HaltFile(by=PERSON, flatten=bool(fault.number), id=str(self._asked))
        self._machine.kernel.files[HALT_FILE] = msgspec.json.encode(file)
        return True

    def _stop(self, fault: Fault, desk: SimDesk) -> bool:
        """What `nightdesk session hold`, `session flatten` and `halt` ask of control."""
        session = EVERYBODY if fault.kind in ("halt", "flatten_all") else self._stand(fault).name
        level: Literal["hold", "halt"] = "hold" if fault.kind == "hold" else "halt"
        flatten = fault.kind in ("flatten", "flatten_all")
        return self._ask(desk, CONTROL, SetHold(session=session, level=level, by=PERSON, flatten=flatten))

    def _ask(self, desk: SimDesk, name: str, request: Request[Any]) -> bool:
        process = desk.kids.get(name)
        if process is None or not process.ready:
            return False
        self._asked += 1
        process.world.on_call(request, Caller(PERSON, 0, self._asked, self._machine.kernel.now_s + PERSON_EVERY_S))
        return True

    def release(self, desk: SimDesk) -> None:
        """What `nightdesk release --all` and `nightdesk session release` do, for all that is held."""
        for hold in read_holds(self._machine.store(DESK_DB)).standing:
            self._ask(desk, CONTROL, LiftHold(session=hold.session, by=PERSON))
        for stand in self._stands:
            if self._held(stand):
                self._flat_what_was_found(stand)
                self._ask(desk, manager_name(stand.name), ReleaseHold(symbol=stand.symbol))

    def _flat_what_was_found(self, stand: Stand) -> None:
        """Of a position that a new journal has found the page says: flat it, or start with take-over."""
        disk, venue = self._machine.kernel.disks[journal_path(stand.name)], self._venue_of(stand)
        held = venue.state.ledger.accounts[stand.account].quantity(stand.symbol)
        if held and not venue.down and disk.execute(FOUND, (stand.symbol,)).fetchone():
            with suppress(ValueError):  # the venue refuses it in words: a person cannot do it either
                self._tell(venue, "trade", account=stand.account, symbol=stand.symbol, quantity=-held)

    def _held(self, stand: Stand) -> bool:
        disk = self._machine.kernel.disks.get(journal_path(stand.name))
        if disk is None:
            return False
        if disk.execute("SELECT 1 FROM holds").fetchone():
            return True
        by_person = "SELECT 1 FROM declarations WHERE json_extract(body, '$.stop_by_person') <> ''"
        return disk.execute(by_person).fetchone() is not None

    def _agreed(self, stand: Stand) -> bool:
        disk = self._machine.kernel.disks.get(journal_path(stand.name))
        agreed = "SELECT 1 FROM positions WHERE symbol = ?"
        return disk is not None and disk.execute(agreed, (stand.symbol,)).fetchone() is not None

    def _stand(self, fault: Fault) -> Stand:
        return self._stands[int(fault.place * len(self._stands))]


def role_of(name: str) -> str:
    """The kind of process that a name belongs to. An account's books and the keeper of its limits are one kind."""
    top, _, rest = name.partition("/")
    if top == paths.CONNECTIONS:
        kind, _, below = rest.partition("/")[2].partition("/")
        if kind == "feeds":
            return below.partition("/")[0]
        if kind in ("books", "limits"):
            return "books"
    return name.rpartition("/")[2]
