// Post a picture and ask for a forecast, with Node 18 or later.
//
//   node examples/clients/node.mjs examples/ankle_boot.png

import { readFile } from "node:fs/promises";
import { Vitrine, VitrineError } from "./vitrine.mjs";

if (process.argv.length !== 3) {
  console.error("usage: node node.mjs PICTURE");
  process.exit(2);
}
const vitrine = new Vitrine(process.env.VITRINE_URL ?? "http://127.0.0.1:8000", { key: process.env.VITRINE_KEY });
try {
  const [best] = (await vitrine.predict("fashion_cnn", await readFile(process.argv[2]))).predictions;
  console.log(best.label, best.probability.toFixed(3));
  const [forecast] = (await vitrine.forecast("sine_rnn", [0.31, 0.58], 3)).forecasts;
  console.log(forecast.mean.map((value) => value.toFixed(3)).join(" "));
} catch (error) {
  if (!(error instanceof VitrineError)) throw error;
  console.error(`${error.status ?? "no answer"}, ${error.code}: ${error.message}`);
  process.exitCode = 1;
}
