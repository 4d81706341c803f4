"""Random histories of a strategy, a venue, a person and deaths: no entry while held, and confirmed flat is flat."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from brokers.model import OrderStatus, OrderType
from supervisor.errors import HttpFailed
from tests.scripted_parts import HttpRequest
from tests.trader.held_desk import Held
from tests.trader.session_world import NAME
from trader.holds import EVERYBODY, HALT_FILE, Level
from trader.store import desk as desk_store
from trader.store.holds import read_holds

SESSIONS = st.sampled_from((NAME, EVERYBODY))


class Stopping(RuleBasedStateMachine):
    """What stands is known here from desk.db and the file alone; what was sent, from the venue alone."""

    @initialize()
    def begin(self) -> None:
        self.desk = Held()
        self.desk.ready()
        self.entries_when_held: int | None = None
        self.confirmed = 0
        self.hand_since_read = False
        self.lost = False
        self.desk.on_order = self._on_order

    def _on_order(self, request: HttpRequest) -> None:
        if self.lost:
            self.lost = False
            self.desk.accept(request)
            raise HttpFailed("time-out", sent=True)

    # -- what happens ----------------------------------------------------------------------------------------------

    @rule(quantity=st.integers(-2, 2), stop=st.sampled_from(("150", "190")))
    def declares(self, quantity: int, stop: str) -> None:
        self.desk.declare(quantity, stop if quantity else None)

    @rule(place=st.floats(0, 0.99))
    def fills(self, place: float) -> None:
        working = [order for order in self.desk.orders.values() if order.working]
        if working:
            self.desk.fill(working[int(place * len(working))].order_id)

    @rule()
    def streams(self) -> None:
        self.desk.stream()

    @rule()
    def reads(self) -> None:
        self.desk.read()
        self.hand_since_read = False

    @rule(seconds=st.sampled_from((0.5, 1.0, 5.0, 40.0)))
    def passes(self, seconds: float) -> None:
        self.desk.world.advance(seconds)

    @rule()
    def loses_an_answer(self) -> None:
        self.lost = True

    @rule()
    def dies(self) -> None:
        self.desk.restart()
        self.desk.attach()

    @rule(quantity=st.sampled_from((-1, 1)))
    def trades_by_hand(self, quantity: int) -> None:
        self.desk.by_hand(quantity)
        self.hand_since_read = True

    # -- a person --------------------------------------------------------------------------------------------------

    @rule(session=SESSIONS, level=st.sampled_from(Level), told=st.booleans())
    def holds(self, session: str, level: Level, told: bool) -> None:
        self.desk.hold(level, session=session, tell=told)

    @rule(session=SESSIONS)
    def flattens(self, session: str) -> None:
        self.desk.hold(Level.HALT, session=session, flatten=True)

    @rule()
    def writes_the_file(self) -> None:
        self.desk.world.files[HALT_FILE] = b""

    @precondition(lambda self: self.stands)
    @rule(session=SESSIONS)
    def releases(self, session: str) -> None:
        self.desk.release(session)

    @precondition(lambda self: HALT_FILE in self.desk.world.files)
    @rule()
    def removes_the_file(self) -> None:
        del self.desk.world.files[HALT_FILE]

    # -- what must hold --------------------------------------------------------------------------------------------

    @property
    def stands(self) -> bool:
        store = self.desk.world.stores[desk_store.DESK_DB]
        return HALT_FILE in self.desk.world.files or bool(read_holds(store).standing)

    @invariant()
    def no_entry_is_sent_while_held(self) -> None:
        keys = [key.encode() for key in self.desk.entries()]
        bodies = [r.body or b"" for r in self.desk.all_requests() if r.method == "POST"]
        sent = sum(any(b'"%s"' % key in body for key in keys) for body in bodies)
        if self.entries_when_held is not None and self.stands:
            assert sent == self.entries_when_held
        self.entries_when_held = sent if self.stands else None

    @invariant()
    def confirmed_flat_is_flat(self) -> None:
        if self.desk.taken.confirmed > self.confirmed:
            self.confirmed = self.desk.taken.confirmed
            assert self.desk.position == 0 or self.hand_since_read
            ours = [order for order in self.desk.orders.values() if not order.order_id.startswith("hand")]
            assert not [order for order in ours if order.working]

    def teardown(self) -> None:
        """Left alone, what was asked comes to its end."""
        if not hasattr(self, "desk") or self.hand_since_read or self.desk.manager.journal.holds:
            return
        self.desk.hold(Level.HALT, flatten=True)
        for _ in range(12):
            for order in list(self.desk.orders.values()):
                if order.working and order.type is OrderType.MARKET and not order.order_id.startswith("hand"):
                    self.desk.fill(order.order_id)
            self.desk.stream()
            self.desk.read()
            self.desk.world.advance(5.0)
        if not self.desk.manager.journal.holds:
            assert self.desk.taken.confirmed == self.desk.taken.begun
            assert self.desk.position == 0
            assert not [each for each in self.desk.orders.values() if each.status is OrderStatus.WORKING]


TestStopping = Stopping.TestCase
TestStopping.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
