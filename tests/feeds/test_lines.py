"""Any chunking of any frames decodes alike."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.broker import BarItem, StreamItem
from brokers.tradestation.frames import account_item, bars_item, bars_read
from feeds.lines import LineSplitter, LineTooLong, lines_of
from tests.brokers import golden

UTF_8 = '{"Error":"Forbidden","Message":"Größe ungültig ≠: 数量 🂡 \u2028"}'.encode()
"""Letters of two, three and four bytes, which a chunk can cut; a line separator that is none of ours."""

FRAMES = [
    UTF_8,
    golden.BAR_LINE,
    golden.ORDER_LINE,
    golden.POSITION_LINE,
    golden.POSITION_DELETED,
    golden.HEARTBEAT,
    golden.END_SNAPSHOT,
    golden.GOAWAY_V2,
]

frames = st.lists(st.sampled_from(FRAMES), max_size=12)
ends = st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\n \r\n"])


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[bytes], bytes]:
    """Frames, and the bytes they come as; the last end may be missing."""
    sent = draw(frames)
    data = b"".join(frame + draw(ends) for frame in sent)
    return sent, data.rstrip() if draw(st.booleans()) else data


@st.composite
def chunked(draw: st.DrawFn) -> tuple[list[bytes], list[bytes]]:
    sent, data = draw(streams())
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=40)))  # twice the same: an empty chunk
    borders = [0, *cuts, len(data)]
    return sent, [data[start:end] for start, end in pairwise(borders)]


@given(chunked())
def test_any_chunking_gives_the_frames_that_were_sent(case: tuple[list[bytes], list[bytes]]) -> None:
    sent, chunks = case
    splitter = LineSplitter()
    got = [line for chunk in chunks for line in splitter.push(chunk)]
    assert got + splitter.finish() == sent


def meaning(lines: list[bytes]) -> list[StreamItem | None]:
    """Of the account's streams; a bar belongs to another one."""
    return [account_item(line) for line in lines if line != golden.BAR_LINE]


@given(chunked())
def test_any_chunking_means_the_same(case: tuple[list[bytes], list[bytes]]) -> None:
    """From bytes to what they say, by both ways that feeds take."""
    sent, chunks = case
    one, whole = LineSplitter(), LineSplitter()
    pushed = [line for chunk in chunks for line in one.push(chunk)]
    at_once = [line for chunk in chunks for line in lines_of(whole.whole(chunk))]
    last = one.finish()
    assert meaning(pushed + last) == meaning(at_once + last) == meaning(sent)


@given(
    st.lists(st.sampled_from([golden.BAR_LINE, golden.BAR_LINE.replace(b"Closed", b"Open"), golden.HEARTBEAT])),
    st.lists(st.integers(0, 4000), max_size=30),
)
def test_bars_taken_at_once_are_those_taken_one_by_one(sent: list[bytes], cuts: list[int]) -> None:
    """What a read completes, several objects or none, says the same by ``bars_read`` as line by line."""
    data = b"".join(line + b"\n" for line in sent)
    borders = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    splitter = LineSplitter()
    for start, end in pairwise(borders):
        lines = splitter.whole(data[start:end])
        read = bars_read("ESZ26", 60, lines) if lines else None
        if read is not None:
            items = [bars_item("ESZ26", 60, line) for line in lines_of(lines)]
            assert list(read.closed) == [item.bar for item in items if isinstance(item, BarItem) and item.closed]
            forming = [item.bar.closed_utc for item in items if isinstance(item, BarItem) and not item.closed]
            assert read.forming_utc == (forming[-1] if forming else 0)
    assert splitter.finish() == []


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
def test_any_bytes_decode_alike_however_they_are_cut(data: bytes, cuts: list[int]) -> None:
    whole = LineSplitter()
    expected = whole.push(data) + whole.finish()
    borders = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = LineSplitter()
    got = [line for start, end in pairwise(borders) for line in pieces.push(data[start:end])]
    assert got + pieces.finish() == expected


@pytest.mark.parametrize("chunks", [[b"x" * 11], [b"x" * 10, b"x"], [b"ok\n" + b"x" * 11 + b"\n"]])
def test_a_line_beyond_the_limit_is_refused_however_it_comes(chunks: list[bytes]) -> None:
    splitter = LineSplitter(limit_bytes=10)
    for chunk in chunks[:-1]:
        splitter.push(chunk)
    with pytest.raises(LineTooLong, match="11 bytes"):
        splitter.push(chunks[-1])


def test_a_line_at_the_limit_passes() -> None:
    assert LineSplitter(limit_bytes=10).push(b"x" * 10 + b"\n") == [b"x" * 10]
