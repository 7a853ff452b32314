"""Every decoder refuses broken input by a documented error. ``python -m tests.faults.fuzz`` tries more."""

import pytest

from tests.faults.decoders import FuzzedDecoder, decoders
from tests.faults.fuzz import at_random

DECODERS = decoders()


@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
def test_broken_input_raises_a_documented_error(decoder: FuzzedDecoder) -> None:
    for seed in decoder.seeds:
        decoder.decode(seed)
    assert not at_random(decoder, seed=18, inputs=300).defect
