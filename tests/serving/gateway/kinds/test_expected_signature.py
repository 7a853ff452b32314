"""Which of a model's signatures fit what its kind expects, and the reason if one does not."""

import numpy as np
import pytest

from serving.gateway.kinds.expected_signature import Expected, tensor
from serving.gateway.models.signature import Shape, Signature, TensorSpec
from serving.tfs_api.messages import DT_FLOAT, DT_INT32, DT_UINT8

EXPECTED = Expected(
    "serving_default", {"image": tensor(np.uint8, 4, 4, 1)}, {"probabilities": tensor(np.float32, None)}
)


def signature(
    image: Shape | None = (None, 4, 4, 1),
    image_type: int = DT_UINT8,
    name: str = "image",
    output: str = "probabilities",
) -> Signature:
    outputs = {output: TensorSpec(output, DT_FLOAT, (None, 10)), "more": TensorSpec("more", DT_INT32, None)}
    return Signature("serving_default", {name: TensorSpec(name, image_type, image)}, outputs)


@pytest.mark.parametrize("shape", [(None, 4, 4, 1), (None, None, None, 1)])
def test_a_signature_may_leave_sizes_free_and_have_more_outputs(shape: Shape) -> None:
    one = signature(shape)
    assert EXPECTED.find({"serving_default": one}) is one


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (None, "it has no signature serving_default"),
        (signature(name="x"), "its signature serving_default takes x, not image"),
        (signature(output="p"), "its signature serving_default has no output probabilities"),
        (
            signature((None, 5, 4, 1)),
            "image of its signature serving_default is uint8 [N, 5, 4, 1], not uint8 [N, 4, 4, 1]",
        ),
        (signature((None, 4, 4)), "is uint8 [N, 4, 4]"),
        (signature((1, 4, 4, 1)), "is uint8 [1, 4, 4, 1]"),
        (signature(None), "is uint8 of any rank"),
        (signature(image_type=DT_FLOAT), "is float32 [N, 4, 4, 1]"),
    ],
)
def test_the_reason_names_the_mismatch(one: Signature | None, reason: str) -> None:
    found = EXPECTED.find({} if one is None else {"serving_default": one})
    assert isinstance(found, str) and reason in found
