"""What many tests of an account manager begin with."""

import pytest

from tests.trader.session_world import Desk


@pytest.fixture
def desk() -> Desk:
    """Up, and agreed with its venue. Files that want another one say so themselves."""
    made = Desk()
    made.ready()
    return made
