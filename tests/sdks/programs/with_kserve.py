"""kserve: the REST client, which sends the model's name or null in the body of every request, and the gRPC client."""

import asyncio

import checks
import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

MODEL = "fashion_cnn"


def request(binary: bool, name: str | None = MODEL, rows: int = 2, **more: object) -> InferRequest:
    image = InferInput("image", [rows, 28, 28, 1], "UINT8")
    image.set_data_from_numpy(np.zeros((rows, 28, 28, 1), np.uint8), binary_data=binary)
    return InferRequest(model_name=name, infer_inputs=[image], **more)


def client(protocol: str = "v2") -> InferenceRESTClient:
    return InferenceRESTClient(RESTConfig(protocol=protocol, retries=0, timeout=60))


async def readiness() -> None:
    async with client() as one:
        assert await one.is_server_live(checks.GATEWAY)
        assert await one.is_server_ready(checks.GATEWAY)
        assert await one.is_model_ready(checks.GATEWAY, MODEL)
        assert not await one.is_model_ready(checks.GATEWAY, "nobody")


async def inference() -> None:
    async with client() as one:
        for binary in (False, True):
            for name in (MODEL, None):
                answer = await one.infer(checks.GATEWAY, request(binary, name, request_id="7"), model_name=MODEL)
                assert (answer.model_name, answer.id) == (MODEL, "7")
                assert answer.outputs[0].as_numpy().shape == (2, 10)


async def parameters() -> None:
    async with client() as one:
        binary = request(True, parameters={"binary_data_output": True, "tenant": "a", "priority": 1})
        assert (await one.infer(checks.GATEWAY, binary, model_name=MODEL)).outputs[0].as_numpy().shape == (2, 10)
        outputs = [RequestedOutput("probabilities", {"binary_data": True, "content_type": "np"})]
        answer = await one.infer(checks.GATEWAY, request(False, request_outputs=outputs), model_name=MODEL)
        assert answer.outputs[0].name == "probabilities"


async def a_picture() -> None:
    tensor = InferInput("image_bytes", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([checks.PICTURE], object), binary_data=True)
    picture = InferRequest(model_name=MODEL, infer_inputs=[tensor], parameters={"signature_name": "serving_bytes"})
    async with client() as one:
        answer = await one.infer(checks.GATEWAY, picture, model_name=MODEL)
        assert answer.outputs[0].as_numpy().argmax() == checks.ANKLE_BOOT


async def errors() -> None:
    async with client() as one:
        with checks.refused(httpx.HTTPStatusError, "'fashion_cnn'", "'other'", "400"):
            await one.infer(checks.GATEWAY, request(False, "other"), model_name=MODEL)
        with checks.refused(httpx.HTTPStatusError, "nobody", "404"):
            await one.infer(checks.GATEWAY, request(False, "nobody"), model_name="nobody")


async def by_grpc() -> None:
    async with InferenceGRPCClient(checks.GATEWAY_GRPC, retries=0) as one:
        assert await one.is_server_live() and await one.is_server_ready()
        assert await one.is_model_ready(MODEL)
        assert not await one.is_model_ready("nobody")
        for binary in (False, True):
            answer = await one.infer(request(binary, request_id="7"))
            assert (answer.model_name, answer.id) == (MODEL, "7")
            assert answer.outputs[0].as_numpy().shape == (2, 10)
        with checks.refused(grpc.RpcError, "there is no model 'nobody'"):
            await one.infer(request(True, "nobody"))


async def protocol_v1() -> None:
    async with client("v1") as one:
        answer = await one.infer(checks.GATEWAY, {"instances": [checks.HISTORY]}, model_name="sine_rnn")
        assert checks.is_next(answer["predictions"][0])


async def many() -> None:
    async with client() as one:
        calls = (one.infer(checks.GATEWAY, request(number % 2 == 0, rows=64), model_name=MODEL) for number in range(40))
        assert {answer.outputs[0].as_numpy().shape for answer in await asyncio.gather(*calls)} == {(64, 10)}


checks.run(readiness, inference, parameters, a_picture, errors, by_grpc, protocol_v1, more=(many,))
