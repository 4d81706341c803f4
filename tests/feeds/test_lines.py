"""Any chunking of any frames decodes alike."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.lines import LineSplitter, LineTooLong
from tests.brokers import golden

FRAMES = [
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
    cuts = sorted(draw(st.sets(st.integers(0, len(data)), max_size=40)))
    borders = [0, *cuts, len(data)]
    return sent, [data[start:end] for start, end in pairwise(borders)]


@given(chunked())
def test_any_chunking_gives_the_frames_that_were_sent(case: tuple[list[bytes], list[bytes]]) -> None:
    sent, chunks = case
    splitter = LineSplitter()
    got = [line for chunk in chunks for line in splitter.push(chunk)]
    assert got + splitter.finish() == sent


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
