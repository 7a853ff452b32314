// Signals: a made-up or a pasted one, drawn as a line, and its classes.
import { chart } from "./chart.js";
import { askModel, bars, chosenModel, element, madeBy, numbers, offer, refuse, short } from "./elements.js";

const PERIODS = 5, NOISE = 0.2;
const SHAPES = { // over one period, 0…1
  sine: (turn) => Math.sin(2 * Math.PI * turn),
  square: (turn) => (turn < 0.5 ? 1 : -1),
  sawtooth: (turn) => 2 * turn - 1,
};

export function offerSignals() {
  offer("signal", ({ kind, verbs }) => kind === "signal" && verbs.includes("predict"), () => example(SHAPES.sine));
}

function example(shape) {
  const { length, channels, sampling, unit } = chosenModel("signal").card.signal;
  const sample = (place) => shape((PERIODS * place / length) % 1) + (Math.random() - 0.5) * NOISE;
  const made = Array.from({ length }, (_, place) => Array.from({ length: channels }, () => sample(place)));
  element("samples").value = made.flat().map(short).join(", ");
  element("signal-note").textContent = `${length} samples${channels > 1 ? ` of ${channels} channels` : ""}, ` +
    `${sampling} apart, in ${unit}. The examples are made up: ${PERIODS} periods of height 1, a little noise.`;
  classify();
}

async function classify() {
  const { name, card } = chosenModel("signal");
  const { length, channels } = card.signal;
  const place = element("kinds");
  try {
    const samples = numbers(element("samples").value);
    if (samples.length !== length * channels) {
      throw new Error(`The model reads ${length * channels} numbers; these are ${samples.length}.`);
    }
    const signal = Array.from({ length }, (_, row) => samples.slice(row * channels, (row + 1) * channels));
    const body = await askModel(name, "predict", { signal });
    place.replaceChildren(...signal[0].map((_, channel) => chart(signal.map((row) => row[channel]))),
      ...bars(body.predictions[0]), madeBy(body));
  } catch (error) {
    refuse(place, error);
  }
}

for (const [name, shape] of Object.entries(SHAPES)) element(name).addEventListener("click", () => example(shape));
element("classify").addEventListener("click", classify);
