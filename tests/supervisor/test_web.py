"""Single requests in the real world: what surely never left is told apart."""

from __future__ import annotations

import pytest

from supervisor.errors import HttpFailed
from supervisor.process.web import Web


@pytest.mark.parametrize("url", ["nohttp", "http://[::1", "http://a b/", "http://"])
def test_an_address_that_is_none_was_surely_not_asked(url: str) -> None:
    with pytest.raises(HttpFailed) as failed:
        Web().request("POST", url, {}, b"{}", 1.0)
    assert not failed.value.sent


def test_a_header_that_is_none_was_surely_not_sent() -> None:
    with pytest.raises(HttpFailed) as failed:
        Web().request("POST", "http://127.0.0.1:9/", {"Authorization": "Bearer a\nb"}, b"{}", 1.0)
    assert not failed.value.sent
