"""openai: ``client.models`` and ``client.embeddings``, which requests base64 if NumPy is installed."""

import base64
import struct
from concurrent.futures import ThreadPoolExecutor

import checks
import openai

client = openai.OpenAI(base_url=f"{checks.GATEWAY}/v1", api_key="none", max_retries=0)
MODEL = "fashion_embedding"


def models() -> None:
    page = client.models.list()
    assert page.object == "list"
    models = {model.id: model for model in page}
    assert models.keys() == {"fashion_cnn", "fashion_embedding", "sine_rnn"}, models
    assert (models[MODEL].object, models[MODEL].owned_by) == ("model", "vitrine")
    assert models[MODEL].created > 1_600_000_000


def one_model() -> None:
    """The path is TensorFlow Serving's, so the response is a status; the SDK keeps it as extra fields."""
    assert client.models.retrieve(MODEL).model_version_status[0]["state"] == "AVAILABLE"
    with checks.refused(openai.NotFoundError):
        client.models.retrieve("nobody")


def embeddings() -> None:
    one = client.embeddings.create(model=MODEL, input=checks.PICTURE_URL)
    assert (one.object, one.model, one.usage.total_tokens) == ("list", MODEL, 0)
    assert len(one.data[0].embedding) == 64
    two = client.embeddings.create(model=MODEL, input=[checks.PICTURE_URL] * 2, user="me")
    assert [item.index for item in two.data] == [0, 1]
    assert two.data[1].embedding == one.data[0].embedding


def encodings() -> None:
    numbers = client.embeddings.create(model=MODEL, input=checks.PICTURE_URL, encoding_format="float")
    text = client.embeddings.create(model=MODEL, input=checks.PICTURE_URL, encoding_format="base64")
    raw = base64.b64decode(text.data[0].embedding)
    known = numbers.data[0].embedding
    assert all(abs(a - b) < 1e-6 for a, b in zip(known, struct.unpack(f"<{len(known)}f", raw), strict=True))
    null = {"encoding_format": None, "dimensions": None, "user": None}  # as LiteLLM sends them
    assert client.embeddings.create(model=MODEL, input=checks.PICTURE_URL, extra_body=null).data[0].embedding == known


def errors() -> None:
    with checks.refused(openai.NotFoundError, "nobody"):
        client.embeddings.create(model="nobody", input=checks.PICTURE_URL)
    with checks.refused(openai.BadRequestError, "data URL"):
        client.embeddings.create(model=MODEL, input="a shoe")
    with checks.refused(openai.BadRequestError, "dimensions"):
        client.embeddings.create(model=MODEL, input=checks.PICTURE_URL, dimensions=8)


async def asynchronous() -> None:
    async with openai.AsyncOpenAI(base_url=f"{checks.GATEWAY}/v1", api_key="none") as other:  # pragma: allowlist secret
        assert "fashion_cnn" in [model.id async for model in other.models.list()]
        assert len((await other.embeddings.create(model=MODEL, input=checks.PICTURE_URL)).data[0].embedding) == 64


def many() -> None:
    with ThreadPoolExecutor(16) as pool:
        pictures = [checks.PICTURE_URL] * 100
        answers = pool.map(lambda _: client.embeddings.create(model=MODEL, input=pictures), range(20))
        assert {len(answer.data) for answer in answers} == {100}


checks.run(models, one_model, embeddings, encodings, errors, more=(asynchronous, many))
