"""Frames from bytes that come in any pieces."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from serving.gateway.backends.tf_serving.http2 import frames
from tests.serving.gateway.backends.tf_serving.http2.raw import PREFACE, frame


@given(
    st.lists(
        st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**31 - 1), st.binary(max_size=60)),
        max_size=8,
    ),
    st.lists(st.integers(0, 400), max_size=12),
)
def test_frames_are_the_same_however_their_bytes_are_cut(
    sent: list[tuple[int, int, int, bytes]], cuts: list[int]
) -> None:
    whole = PREFACE + b"".join(frame(*each) for each in sent)
    reader, found = frames.Reader(preface=True), []
    for start, end in itertools.pairwise([0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]):
        found += reader.feed(whole[start:end])
    assert found == sent
    assert whole == PREFACE + b"".join(frames.frame(*each) for each in sent)
