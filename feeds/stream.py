"""StreamFeed: what the feeds of bars, orders and positions have in common: open, listen, tell apart how it ended.

A feed does not reconnect by itself: it ends with a reason that names which, and its supervisor starts it again.
What the venue does by routine (GoAway, an orderly end) is an *expected* end, restarted at once; everything else is
a crash, which the supervisor slows down when it comes too often.

The one exception is a venue that says no, in the stream (DualLogon, Forbidden ...) or to the opening (4xx): asking
again at once does not help, and with DualLogon it would throw the other session out, again and again. A supervisor
restarts the first few deaths at once, so the feed stays, without a stream, tells, and asks again after a pause that
doubles: back off, raise an alarm, do not fight.

It declares itself fresh on contact: any byte, a heartbeat too. How old the newest bar may be is not to be said without
market hours; whoever trades on bars looks at their age (``trader/risk/gates.py``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NoReturn

import msgspec

from brokers.broker import GoAway, StreamError, StreamItem, StreamRequest
from brokers.errors import BrokerError
from feeds.lines import LineSplitter, LineTooLong, lines_of
from feeds.paths import parse_feed
from feeds.specs import FeedArguments
from feeds.staleness import Silence, watch_opened
from feeds.token import Tokens
from feeds.venue import open_broker, open_meter
from supervisor.errors import EndsInWords
from supervisor.messages import Level, Message, StreamData, StreamEnded, StreamOpened
from supervisor.process.server import Server

Ends = GoAway | StreamError
"""Lines after which nothing comes. (Put together once: each line is asked.)"""


HOLD_OFF_MIN_S = 15.0
HOLD_OFF_MAX_S = 600.0
"""Pauses after the venue said no: doubled each time, with a fifth of jitter so that feeds refused together do not come
back together; started anew once a stream has lived for a heartbeat."""


class FeedEnded(EndsInWords):
    """The stream is over by no routine; the text says how. Ends the process abnormally."""


class OpenStream(Message, frozen=True):
    """To ourselves, in the turn after ``init`` (ready never waits for venue or connection), and after a pause."""


class JudgeSilence(Message, frozen=True):
    """Timer: is the stream alive?"""


class StreamFeed(Server, ABC):
    """Subclasses say what to ask for, what a line means, and what to publish of one read."""

    @abstractmethod
    def request(self) -> StreamRequest:
        """What to open."""

    @abstractmethod
    def item(self, line: bytes) -> StreamItem | None:
        """What a line means; None for one that means nothing. Raises ``BadAnswer``."""

    def opening(self) -> None:
        """A stream is asked for: what was said on an earlier one counts no more."""

    def understood(self, lines: bytes, received_s: float) -> bool:
        """Whole lines of one read, taken at once; False: nothing is done, they are to be taken one by one."""
        return False

    @abstractmethod
    def publish(self, items: list[StreamItem], received_s: float) -> None:
        """Tell the subscribers what came in one read."""

    def init(self) -> None:
        settings = msgspec.convert(self.arguments, FeedArguments)
        self.timing, self.config = settings.timing, settings.config
        self.feed = parse_feed(settings.feed)
        self.tokens = Tokens(self.world, settings.config, settings.timing)
        self.meter = open_meter(self.world, settings.config)
        self.broker = open_broker(self.world, settings.config, settings.timing, self.tokens, self.meter)
        self.stream = 0
        self.reopened = False
        self.refusals = 0
        self.heard_s = 0.0
        self.world.after(0.0, OpenStream())

    def handle_info(self, message: Message) -> None:
        if isinstance(message, StreamData | StreamEnded | StreamOpened) and message.stream != self.stream:
            return  # of a stream that was given up in this very turn
        if isinstance(message, StreamData):
            self._received(message.data)
        elif isinstance(message, JudgeSilence):
            self._judge_silence()
        elif isinstance(message, StreamOpened):
            self.world.log.info("stream answered", status=message.status)
        elif isinstance(message, StreamEnded):
            self._stream_ended(message)
        elif isinstance(message, OpenStream):
            self.reopened = False
            self._open()
        else:
            super().handle_info(message)

    def terminate(self, reason: str) -> None:
        self._close()

    def _close(self) -> None:
        if self.stream:
            self.world.close_stream(self.stream)
            self.stream = 0

    # -- opening ---------------------------------------------------------------------------------------------

    def _open(self) -> None:
        try:
            request = self.request()
        except BrokerError as error:
            self._crash("feed.not_opened", f"not opened: {error}")
        self._close()
        self.opening()
        self.lines = LineSplitter()
        self.opened_s = self.world.now_s()
        self.silence: Silence = watch_opened(
            self.opened_s, heartbeat_s=self.timing.heartbeat_s, first_byte_s=self.timing.connect_limit_s
        )
        self.stream = self.world.stream(request.url, headers=request.headers)
        self.judging = self.world.after(self.silence.turn_every_s, JudgeSilence())

    def open_anew(self) -> None:
        """The stream is not to be believed: another one, in the next turn. No restart: the fault is the venue's."""
        self.judging.cancel()
        self._close()
        self.world.after(0.0, OpenStream())

    def _reopen_with_another_token(self) -> None:
        """A 401 at opening: the token is refreshed once, then it is a refusal like any other."""
        self.reopened = True
        self.judging.cancel()
        try:
            self.tokens(refused=self.tokens.current)
        except BrokerError as error:
            self._crash("feed.refused", f"refused: 401, and {error}")
        self._open()

    # -- what comes ------------------------------------------------------------------------------------------

    def _received(self, data: bytes) -> None:
        """What came goes out first; that it came is noted after that. (A stream that a line of it has ended is no
        longer watched, and a feed that dies of it needs no note.)"""
        now_s = self.heard_s = self.world.now_s()
        try:
            lines = self.lines.whole(data)
        except LineTooLong as error:
            self._crash("feed.garbage", f"garbage: {error}")
        if lines and not self.understood(lines, now_s):
            self._take(lines_of(lines), now_s)
        self.silence = self.silence.heard(now_s)
        self.world.fresh(self.silence.contact_s)

    def _take(self, lines: list[bytes], received_s: float) -> bool:
        """What came in one read goes out as one message; what came before an ending frame goes out first.

        Whether the stream goes on as far as these lines say.
        """
        items: list[StreamItem] = []
        ending: GoAway | StreamError | BrokerError | None = None
        for line in lines:
            try:
                item = self.item(line)
            except BrokerError as error:
                ending = error
                break
            if isinstance(item, Ends):
                ending = item
                break
            if item is not None:
                items.append(item)
        self.publish(items, received_s)
        if ending is not None:
            self._ended_by(ending)
        return ending is None

    # -- endings ---------------------------------------------------------------------------------------------

    def _ended_by(self, ending: GoAway | StreamError | BrokerError) -> None:
        if isinstance(ending, GoAway):
            self._end_by_routine("feed.goaway", "GoAway")
        elif isinstance(ending, StreamError) and ending.retryable:
            self._crash("feed.stream_error", f"error in the stream: {ending.text}")
        elif isinstance(ending, StreamError):
            self._hold_off("feed.stream_error", f"error in the stream: {ending.text}")
        else:
            self._crash("feed.garbage", f"garbage: {ending}")

    def _stream_ended(self, message: StreamEnded) -> None:
        if message.how == "refused" and message.status == 401 and not self.reopened:
            self._reopen_with_another_token()
        elif message.how == "refused" and 400 <= message.status < 500:
            self._hold_off("feed.refused", f"refused: HTTP {message.status} {message.detail}".rstrip())
        elif message.how == "refused":
            self._crash("feed.refused", f"refused: HTTP {message.status} {message.detail}".rstrip(), "NOTIFY")
        elif message.how == "end":
            if self._take(self.lines.finish(), self.world.now_s()):
                self._end_by_routine("feed.end", "the venue ended the stream")
        else:
            self._crash(f"feed.{message.how}", f"{message.how}: {message.detail}".rstrip(": "))

    def _judge_silence(self) -> None:
        now_s = self.world.now_s()
        self.silence = self.silence.turn(now_s)
        if self.silence.silent(now_s):
            self._crash("feed.silence", str(self.silence))
        if self.refusals and self.silence.alive and now_s - self.opened_s >= self.timing.heartbeat_s:
            self.refusals = 0
            text = f"{self.world.name}: the venue serves the stream again"
            self.world.event("feed.admitted", "DIGEST", text, incident=self._incident, resolved=True)
        self.judging = self.world.after(self.silence.turn_every_s, JudgeSilence())

    def _hold_off(self, kind: str, reason: str) -> None:
        """The venue said no. Told at the first time; meanwhile we grow *stale*, which the supervisor tells as well."""
        self.judging.cancel()
        self._close()
        pause_s = min(HOLD_OFF_MIN_S * 2.0**self.refusals, HOLD_OFF_MAX_S) * (1.0 + self.world.random() / 5)
        self.world.log.warning("the venue said no", reason=reason, again_s=pause_s, refusals=self.refusals + 1)
        if not self.refusals:
            text = f"{reason}; not asked again for {pause_s:.0f} s, then ever more seldom"
            self.world.event(kind, "NOTIFY", text, incident=self._incident, opened=True)
        self.refusals += 1
        self.world.after(pause_s, OpenStream())

    @property
    def _incident(self) -> str:
        return f"refused:{self.world.name}"

    def _end_by_routine(self, kind: str, reason: str) -> None:
        """Expected, unless the stream lived shorter than a heartbeat: so quick an end, again and again, would be
        restarted at once without end, so it is charged."""
        lived_s = self.world.now_s() - self.opened_s
        if lived_s < self.timing.heartbeat_s:
            self._crash(kind, f"{reason}, {lived_s:.1f} s after it was opened")
        self.world.event(kind, "DIGEST", f"{reason}; started again at once", lived_s=lived_s)
        self.world.end(reason, expected=True)

    def _crash(self, kind: str, reason: str, level: Level = "DIGEST") -> NoReturn:
        self.world.event(kind, level, f"{reason}; the feed ends and is started again")
        raise FeedEnded(reason)
