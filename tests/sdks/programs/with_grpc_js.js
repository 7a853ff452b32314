// @grpc/grpc-js: Node's own implementation of HTTP/2 and gRPC, against the embedded model server.
"use strict";
const assert = require("node:assert");
const fs = require("node:fs");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const definition = loader.loadFileDescriptorSetFromBuffer(fs.readFileSync(process.argv[2]), {
  keepCase: true,
  longs: Number,
  enums: String,
  defaults: true,
});
const { PredictionService, ModelService } = grpc.loadPackageDefinition(definition).tensorflow.serving;
const address = process.env.MODEL_SERVER_GRPC;
const clients = [];

function connect(service, options) {
  const client = new service(address, grpc.credentials.createInsecure(), options);
  clients.push(client);
  return client;
}

function call(client, method, request, seconds = 20) {
  const deadline = Date.now() + seconds * 1000;
  return new Promise((resolve, reject) =>
    client[method](request, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer))),
  );
}

// With messages from a descriptor set, maps are lists of entries.
const entry = (map, key) => map.find((one) => one.key === key).value;
const shape = (...sizes) => ({ dim: sizes.map((size) => ({ size })) });
const history = {
  model_spec: { name: "sine_rnn" },
  inputs: [{ key: "history", value: { dtype: "DT_FLOAT", tensor_shape: shape(1, 2), float_val: [0.31, 0.58] } }],
};
const images = (rows) => ({
  model_spec: { name: "fashion_cnn", signature_name: "serving_default" },
  inputs: [
    {
      key: "image",
      value: { dtype: "DT_UINT8", tensor_shape: shape(rows, 28, 28, 1), tensor_content: Buffer.alloc(rows * 784, 7) },
    },
  ],
});

const prediction = connect(PredictionService);

async function predict() {
  const answer = await call(prediction, "Predict", history);
  const [value] = entry(answer.outputs, "prediction").float_val;
  assert.ok(Math.abs(value - 0.7932) < 1e-3, value);
  assert.equal(answer.model_spec.version.value, 1);
}

async function states() {
  const answer = await call(connect(ModelService), "GetModelStatus", { model_spec: { name: "fashion_cnn" } });
  assert.equal(answer.model_version_status[0].state, "AVAILABLE");
}

async function metadata() {
  const request = { model_spec: { name: "fashion_cnn" }, metadata_field: ["signature_def"] };
  const answer = await call(prediction, "GetModelMetadata", request);
  assert.ok(entry(answer.metadata, "signature_def").type_url.endsWith("tensorflow.serving.SignatureDefMap"));
}

async function errors() {
  const unknown = { ...history, model_spec: { name: "nobody" } };
  await assert.rejects(call(prediction, "Predict", unknown), {
    code: grpc.status.NOT_FOUND,
    details: "Servable not found for request: Latest(nobody)",
  });
  await assert.rejects(call(prediction, "Predict", images(1), -1), { code: grpc.status.DEADLINE_EXCEEDED });
  await call(prediction, "Predict", history); // the connection stays open
}

// Larger than HTTP/2's first window of 64 KiB.
async function large() {
  const answer = await call(prediction, "Predict", images(128));
  assert.equal(entry(answer.outputs, "probabilities").float_val.length, 1280);
}

async function compressed() {
  const client = connect(PredictionService, { "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip });
  await call(client, "Predict", images(128));
}

async function many() {
  const answers = await Promise.all(Array.from({ length: 150 }, (_, number) => call(prediction, "Predict", images(number % 40 + 1))));
  answers.forEach((answer, number) => {
    assert.equal(entry(answer.outputs, "probabilities").float_val.length, ((number % 40) + 1) * 10);
  });
}

async function main() {
  const checks = [predict, states, metadata, errors, large, ...(process.env.ALL_CHECKS ? [compressed, many] : [])];
  for (const check of checks) {
    await check();
    console.log("ok", check.name);
  }
  clients.forEach((client) => client.close());
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
