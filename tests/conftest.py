"""What all tests share: how hypothesis runs, and what stays together where two processes share the suite. Fixtures live
with the tests that need them."""

import pytest
from hypothesis import settings

# No deadline an example: on a busy machine it measures the neighbours. The blob makes a failure repeatable.
settings.register_profile("nightdesk", deadline=None, print_blob=True)
settings.load_profile("nightdesk")


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a module's fixture (a desk that runs, mostly) go to one process, so that it is made once. The
    rest goes one by one to whichever process is free (``--dist loadgroup``)."""
    for item in items:
        path = item.nodeid.partition("::")[0]
        if any(fixture.scope == "module" for fixture in fixtures_of(item)):
            item.add_marker(pytest.mark.xdist_group(path))


def fixtures_of(item: pytest.Item) -> list[pytest.FixtureDef[object]]:
    known = getattr(item, "_fixtureinfo", None)
    return [each for found in known.name2fixturedefs.values() for each in found] if known else []
