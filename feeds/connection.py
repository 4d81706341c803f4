"""The connection process: one login's tokens for all who need them, and the feeds and books somebody needs.

It keeps no memory of its users but their leases (leases.py), and asks the supervisor what runs. It knows no
market data: feeds and books speak to the venue themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from brokers.budget import admitted
from feeds import paths
from feeds.config import ConnectionConfig, Timing
from feeds.leases import LeaseBook
from feeds.login import Login
from feeds.messages import ReadLeases, ReadLogin, ReadShares, ReadToken, Shares, StillNeeded, TakeLogin
from feeds.specs import ConnectionArguments, books_spec, feed_spec, limits_spec
from feeds.venue import streams_at_once
from supervisor.errors import CallFailed, Refused
from supervisor.messages import ChildInfo, ChildSpec, Message, Request
from supervisor.process.server import Caller, Server

RENEW_EARLY_S = 90.0
"""We renew this long before expiry; callers come 60 s before it and find the new token waiting."""

RENEW_EVERY_MIN_S = 10.0
"""However short a token lives."""

LATE_SHOWN_S = 1.0
"""A turn that comes so late is worth a line in the record: the machine stood still."""


class RenewToken(Message, frozen=True):
    """Timer: time to renew the token, or to try again."""


class PruneLeases(Message, frozen=True):
    """Timer: end what nobody needs. ``due_s``: when it should come; later means that we are late."""

    due_s: float


class LastLook(Message, frozen=True):
    """Behind all that was in the mailbox when nothing was needed any more."""


class Connection(Server):
    """``connections/<name>/connection``: transient and significant; its normal end is the connection's."""

    def init(self) -> None:
        self.settings = msgspec.convert(self.arguments, ConnectionArguments)
        self.config, self.timing = self.settings.config, self.settings.timing
        self.login = Login(self.world, self.config, self.timing)
        self.book = LeaseBook(listening_until_s=self._listen_until_s())
        self.streams_full = False
        self.away_since_s: float | None = None
        self.known: set[str] = set()  # children that we have seen or started; the supervisor knows better
        self.world.after(0.0, RenewToken())
        self._prune_later()

    def handle_call(self, request: Request[Any], caller: Caller) -> Message | None:
        if isinstance(request, ReadToken):
            return self.login.read(request.refused)
        if isinstance(request, ReadLeases):
            return self.book.shown(self.world.now_s())
        if isinstance(request, ReadShares):
            return self._shares()
        if isinstance(request, ReadLogin):
            return self.login.shown(RENEW_EARLY_S)
        if isinstance(request, TakeLogin):
            self._take_login()
            return self.login.shown(RENEW_EARLY_S)
        return super().handle_call(request, caller)

    def handle_cast(self, message: Message) -> None:
        if isinstance(message, StillNeeded):
            self._still_needed(message)
        else:
            super().handle_cast(message)

    def handle_info(self, message: Message) -> None:
        if isinstance(message, RenewToken):
            self._renew_token()
        elif isinstance(message, PruneLeases):
            self._prune(message.due_s)
        elif isinstance(message, LastLook):
            self._last_look()
        else:
            super().handle_info(message)

    # -- leases ----------------------------------------------------------------------------------------------

    def _listen_until_s(self) -> float:
        """After a crash nothing is ended before every holder had time to speak."""
        crashed = self.world.predecessor is not None and self.world.predecessor.abnormal
        return self.world.now_s() + (self.timing.listen_after_crash_s if crashed else 0.0)

    def _still_needed(self, word: StillNeeded) -> None:
        feeds = tuple(name for name in word.feeds if self._can_be_had(feed_spec, name, word.holder))
        accounts = tuple(name for name in word.accounts if self._can_be_had(books_spec, name, word.holder))
        word = msgspec.structs.replace(word, feeds=feeds, accounts=accounts)
        self.book = self.book.told(word, self.world.now_s(), self.timing.lease_valid_s)
        wanted = self._wanted()
        self._ensure({name: spec for name, spec in wanted.items() if name not in self.known})

    def _can_be_had(self, spec: Callable[[ConnectionConfig, Timing, str], ChildSpec], name: str, holder: str) -> bool:
        """What is no feed, or can be no part of a process's name, is one holder's mistake and nobody else's trouble."""
        try:
            spec(self.config, self.timing, name)
        except ValueError as error:
            self.world.log.error("a lease for what cannot be had is passed over", holder=holder, error=str(error))
            return False
        return True

    def _shares(self) -> Shares:
        """By what somebody needs or we have seen running: after a crash the first words may still be missing."""
        names = {*self._specs(self.book.feeds, self.book.accounts), *self.known}
        bars = sum(name.startswith(paths.feed(self.config.name, "bars/")) for name in names)
        books = sum(name.startswith(paths.books(self.config.name, "")) for name in names)
        return Shares(books=books, bars=bars)

    def _prune(self, due_s: float) -> None:
        now_s = self.world.now_s()
        self._prune_later()
        self._forgive_lateness(now_s - due_s)
        if self.book.listening(now_s):
            return
        self.book = self.book.pruned(now_s)
        wanted = self._wanted()
        self._end_all_but(wanted)
        self._ensure(wanted)  # the known ones too: the supervisor is content with a child that runs
        if not self.book.holders:
            self.world.after(0.0, LastLook())

    def _last_look(self) -> None:
        if self.book.holders:
            self.world.log.info("staying: somebody needs us after all", holders=sorted(self.book.holders))
            return
        self.world.event("connection.ended", "LOG", f"{self.config.name}: nobody needs it any more")
        self.world.end()

    def _prune_later(self) -> None:
        every_s = self.timing.prune_every_s
        self.world.after(every_s, PruneLeases(self.world.now_s() + every_s))

    def _forgive_lateness(self, late_s: float) -> None:
        """Who judges silence looks at his own lateness first: all deadlines move by it."""
        self.book = self.book.moved(max(0.0, late_s))
        if late_s > LATE_SHOWN_S:
            text = f"this process had its turn {late_s:.1f} s late; all leases are prolonged by that"
            self.world.event("machine.late", "LOG", text, late_s=late_s)

    # -- children --------------------------------------------------------------------------------------------

    def _wanted(self) -> dict[str, tuple[str, ChildSpec]]:
        """All that is leased, but no more streams of a kind than the venue allows at once: one more would be refused
        (429), again and again. The books of such an account run all the same, so it is read and traded."""
        feeds = self.book.feeds
        kinds = [(paths.feed(self.config.name, feed), paths.parse_feed(feed).kind) for feed in feeds]
        admitted_names = admitted(kinds, self.known, streams_at_once(self.config))
        self._tell_streams_left_out({name for name, _ in kinds} - admitted_names)
        kept = [feed for feed, (name, _) in zip(feeds, kinds, strict=True) if name in admitted_names]
        return self._specs(kept, self.book.accounts)

    def _tell_streams_left_out(self, names: set[str]) -> None:
        """Once when it begins, and when it is over."""
        if bool(names) == self.streams_full:
            return
        self.streams_full = bool(names)
        incident = f"streams:{self.config.name}"
        if names:
            listed = ", ".join(sorted(names))
            text = f"{self.config.name}: more streams are needed than the venue allows at once; not had: {listed}"
            self.world.event("connection.streams_full", "NOTIFY", text, incident=incident, opened=True)
        else:
            text = f"{self.config.name}: all streams that are needed are had again"
            self.world.event("connection.streams_had", "DIGEST", text, incident=incident, resolved=True)

    def _specs(self, feeds: Iterable[str], accounts: Iterable[str]) -> dict[str, tuple[str, ChildSpec]]:
        """By full name: the supervisor it belongs under, and its spec."""
        name = self.config.name
        specs = {
            paths.feed(name, feed): (paths.feeds(name), feed_spec(self.config, self.timing, feed)) for feed in feeds
        }
        for account in accounts:
            spec = books_spec(self.config, self.timing, account)
            specs[paths.books(name, account)] = (paths.supervisor(name), spec)
            if account in self.config.account_limits:
                spec = limits_spec(self.config, self.timing, account)
                specs[paths.limits(name, account)] = (paths.supervisor(name), spec)
        return specs

    def _ensure(self, specs: dict[str, tuple[str, ChildSpec]]) -> None:
        for name, (under, spec) in specs.items():
            try:
                self.world.supervisor.ensure_child(under, spec)
                self.known.add(name)
            except CallFailed as error:
                self.world.log.error("cannot be started; tried again at the next lease", child=name, error=str(error))

    def _end_all_but(self, needed: Iterable[str]) -> None:
        """End the feeds and books that nobody asked for, as the supervisor lists them: not from memory."""
        keep = set(needed)
        running = self._running()
        self._judge_venue([child for child in running if child.name in keep])
        for child in running:
            if child.name not in keep:
                self._end_child(child.name)

    def _running(self) -> list[ChildInfo]:
        name = self.config.name
        ours = (paths.feeds(name) + "/", paths.books(name, ""), paths.limits(name, ""))
        tree = self.world.supervisor.tree(paths.supervisor(self.config.name))
        return [child for child in tree.children if child.name.startswith(ours)]

    def _judge_venue(self, children: list[ChildInfo]) -> None:
        """None of them knows of the others; all of them at once are one thing to whoever looks: the venue, or the way
        to it. (A keeper of limits asks no venue.) Of less than all of them each tells for itself."""
        name = self.config.name
        served = [child for child in children if not child.name.startswith(paths.limits(name, ""))]
        failing = [child for child in served if child.state.startswith("held") or child.state.endswith("stale")]
        away = bool(failing) and len(failing) == len(served)
        incident, now_s = f"away:{name}", self.world.now_s()
        where = f"{self.config.environment} {name}"
        if away and self.away_since_s is None:
            self.away_since_s = now_s
            why = next((child.why for child in failing if child.why), "they have delivered nothing for too long")
            text = (
                f"{where}: nothing of the venue is had, all {len(failing)} feeds and books fail: {why}. Stops work "
                "there, entries wait; it is tried again by itself"
            )
            self.world.event("connection.venue_away", "NOTIFY", text, incident=incident, opened=True)
        elif not away and self.away_since_s is not None:
            text = (
                f"{where}: the venue is had again, {now_s - self.away_since_s:.0f} s after it was told; "
                f"{len(served) - len(failing)} of {len(served)} feeds and books are well"
                if served
                else f"{where}: nobody needs anything of the venue any more"
            )
            self.away_since_s = None
            self.world.event("connection.venue_back", "DIGEST", text, incident=incident, resolved=True)

    def _end_child(self, name: str) -> None:
        self.known.discard(name)
        try:
            self.world.supervisor.terminate_child(name)
            if not name.startswith(paths.feeds(self.config.name)):  # a dynamic supervisor forgets by itself
                self.world.supervisor.delete_child(name)
        except CallFailed as error:
            self.world.log.warning("could not be ended; tried again", child=name, error=str(error))
            return
        self.world.event("connection.child_ended", "LOG", f"{name}: ended, nobody needs it", child=name)

    # -- the token -------------------------------------------------------------------------------------------

    def _renew_token(self) -> None:
        """Before callers need it, so that nobody waits; and again when it failed."""
        try:
            token = self.login.read(margin_s=RENEW_EARLY_S)
        except Refused:
            self.world.after(self._again_in_s(), RenewToken())  # the login has said why
            return
        until_s = token.expires_s - RENEW_EARLY_S - self.world.now_s()
        self.world.after(max(until_s, self._again_in_s()), RenewToken())

    def _take_login(self) -> None:
        """What ``nightdesk login`` has written is used from the next request on, and ends *login needed*."""
        self.login.forget()
        try:
            self.login.read()
        except Refused as error:
            self.world.log.warning("the new login does not serve", why=str(error))

    def _again_in_s(self) -> float:
        """The login's own back-off, if it is in trouble."""
        wait_s = self.login.try_again_s - self.world.now_s()
        return wait_s if self.login.trouble else RENEW_EVERY_MIN_S
