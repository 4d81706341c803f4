"""Single requests in the real world: what surely never left is told apart."""

from __future__ import annotations

import re

import pytest
import requests
import urllib3

from supervisor.errors import HttpFailed
from supervisor.process.web import Web, plain


@pytest.mark.parametrize("url", ["nohttp", "http://[::1", "http://a b/", "http://"])
def test_an_address_that_is_none_was_surely_not_asked(url: str) -> None:
    with pytest.raises(HttpFailed) as failed:
        Web().request("POST", url, {}, b"{}", 1.0)
    assert not failed.value.sent


def test_a_header_that_is_none_was_surely_not_sent() -> None:
    with pytest.raises(HttpFailed) as failed:
        Web().request("POST", "http://127.0.0.1:9/", {"Authorization": "Bearer a\nb"}, b"{}", 1.0)
    assert not failed.value.sent


def test_a_connection_that_fails_is_told_by_its_cause_and_not_by_each_library_in_between() -> None:
    with pytest.raises(requests.ConnectionError) as failed:
        requests.get("http://127.0.0.1:9/v3/stream?interval=1", timeout=2.0)
    told = "NewConnectionError: 127.0.0.1:9: Failed to establish a new connection: [Errno 111] Connection refused"
    assert plain(failed.value) == told
    with pytest.raises(HttpFailed, match=re.escape(f"GET http://127.0.0.1:9/v3: {told}")):
        Web().request("GET", "http://127.0.0.1:9/v3", {}, None, 2.0)


def test_what_nothing_wraps_is_told_as_it_is() -> None:
    assert plain(TimeoutError("timed out")) == "TimeoutError: timed out"
    torn = urllib3.exceptions.ProtocolError("Connection broken", ConnectionResetError(104, "reset by peer"))
    assert plain(torn) == "ConnectionResetError: [Errno 104] reset by peer"


def test_the_garbage_of_a_venue_is_cut_short_and_can_be_shown() -> None:
    told = plain(ValueError("\x1b[2J" + "x" * 10_000))
    assert told.isprintable()
    assert len(told) < 400
