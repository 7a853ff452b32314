"""``POST /v1/models/…:predict`` and the other verbs: reads the body and tells the façades apart by it."""

from serving.gateway.admission import Admission
from serving.gateway.decode import payload, tensors
from serving.gateway.edge import Target
from serving.gateway.errors import MethodNotAllowed
from serving.gateway.facades.native import Native
from serving.gateway.facades.tensorflow import TensorFlow
from serving.gateway.http import Answer, Request
from serving.gateway.predict import Predictor


class Inference:
    """Answers hot requests, within the bounds of admission."""

    def __init__(
        self,
        predictor: Predictor,
        admission: Admission,
        native: Native,
        tensorflow: TensorFlow,
        *,
        max_body_bytes: int,
        max_rows: int,
    ) -> None:
        self._predictor = predictor
        self._admission = admission
        self._native = native
        self._tensorflow = tensorflow
        self._max_body_bytes = max_body_bytes
        self._max_rows = max_rows

    async def __call__(self, target: Target, request: Request) -> Answer:
        """The answer.

        Raises:
            GatewayError: the request cannot be answered. Disconnected: there is nobody to answer.
        """
        if request.method != "POST":
            raise MethodNotAllowed(f":{target.verb} is asked by POST, not {request.method}", allowed="POST")
        servable = self._predictor.route(request, target.model, target.wanted, target.verb)
        self._admission.enter(target.model)
        try:
            body = await request.body(self._max_body_bytes, self._admission)
            content = payload.read(body, request.header(b"content-type"), self._max_rows)
            if isinstance(content, payload.Document) and target.verb == "predict" and tensors.is_request(content.keys):
                request.tensorflow_form = True
                return await self._tensorflow.predict(request, target, servable, content.keys)
            return await self._native.answer(request, target, servable, content)
        finally:
            self._admission.leave(target.model)
            self._admission.release(request.size)
