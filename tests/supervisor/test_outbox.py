"""Events wait for the recorder: sent again until they are recorded, bounded, and never lost without a word."""

from __future__ import annotations

from supervisor.messages import Event
from supervisor.process.outbox import BATCH_MAX, KEPT_MAX, Outbox


def event(number: int) -> Event:
    return Event("x", "LOG", "a/b", f"event {number}", float(number), 1e9 + number)


def filled(count: int) -> Outbox:
    outbox = Outbox("a/b", 7)
    for number in range(1, count + 1):
        outbox.add(event(number))
    return outbox


def sent(outbox: Outbox) -> tuple[int, list[str]]:
    batch = outbox.batch()
    assert batch is not None
    assert (batch.sender, batch.incarnation) == ("a/b", 7)
    return batch.first, [each.text for each in batch.events]


def test_what_is_not_recorded_is_sent_again_under_the_same_numbers() -> None:
    outbox = filled(2)
    assert sent(outbox) == sent(outbox) == (1, ["event 1", "event 2"])
    outbox.recorded(1)
    assert sent(outbox) == (2, ["event 2"])
    outbox.recorded(1)  # an old word
    assert sent(outbox) == (2, ["event 2"])
    outbox.recorded(2)
    assert outbox.batch() is None


def test_a_batch_is_bounded() -> None:
    first, texts = sent(filled(BATCH_MAX + 1))
    assert (first, len(texts)) == (1, BATCH_MAX)


def test_beyond_the_limit_the_oldest_go_and_the_record_is_told_how_many_it_lacks() -> None:
    outbox = filled(KEPT_MAX + 3)
    assert sent(outbox)[0] == 4
    outbox.recorded(3 + BATCH_MAX)
    outbox.recorded(KEPT_MAX + 3)
    (text,) = sent(outbox)[1]
    assert text == "3 events of a/b are not in the record: the recorder was away; its log has them"
    outbox.recorded(KEPT_MAX + 4)
    assert outbox.batch() is None, "told once"


def test_nothing_is_said_of_what_was_not_dropped() -> None:
    outbox = filled(KEPT_MAX)
    outbox.recorded(KEPT_MAX)
    assert outbox.batch() is None
