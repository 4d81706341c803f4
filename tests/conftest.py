"""What all tests share: how hypothesis runs. Fixtures live with the tests that need them."""

from hypothesis import settings

# No deadline an example: on a busy machine it measures the neighbours. The blob makes a failure repeatable.
settings.register_profile("nightdesk", deadline=None, print_blob=True)
settings.load_profile("nightdesk")
