// Signal models: a generated or pasted signal, drawn as a line, and its classes.
import { chart } from "./chart.js";
import { answeredBy, bars, element, short, showError } from "./elements.js";
import { requestModel } from "./gateway.js";
import { numbers } from "./numbers.js";

const PERIODS = 5, NOISE = 0.2;
const SHAPES = { // over one period, 0…1
  sine: (phase) => Math.sin(2 * Math.PI * phase),
  square: (phase) => (phase < 0.5 ? 1 : -1),
  sawtooth: (phase) => 2 * phase - 1,
};

export const title = "What kind of signal is it?";
export const content = `
  <label class="tall">Samples
    <textarea id="samples" rows="4" spellcheck="false"></textarea>
  </label>
  <p class="row">
    <button id="sine" type="button">Sine</button>
    <button id="square" type="button">Square wave</button>
    <button id="sawtooth" type="button">Sawtooth</button>
    <button id="classify" type="button" class="go">Classify</button>
  </p>
  <p id="signal-note" class="quiet"></p>
  <div id="signal-classes" class="answer" aria-live="polite"></div>`;

export function start(section) {
  function showExample(shape) {
    const { length, channels, sampling, unit } = section.model.card.signal;
    const sample = (index) => shape((PERIODS * index / length) % 1) + (Math.random() - 0.5) * NOISE;
    const rows = Array.from({ length }, (_, index) => Array.from({ length: channels }, () => sample(index)));
    element("samples").value = rows.flat().map(short).join(", ");
    element("signal-note").textContent = `${length} samples${channels > 1 ? ` of ${channels} channels` : ""}, ` +
      `${sampling} apart, in ${unit}. The examples are generated: ${PERIODS} periods of amplitude 1, with noise.`;
    classify();
  }

  async function classify() {
    const { name, card } = section.model;
    const { length, channels } = card.signal;
    const target = element("signal-classes");
    try {
      const samples = numbers(element("samples").value);
      if (samples.length !== length * channels) {
        throw new Error(`The model reads ${length * channels} numbers, but there are ${samples.length}.`);
      }
      const signal = Array.from({ length }, (_, row) => samples.slice(row * channels, (row + 1) * channels));
      const body = await requestModel(name, "predict", { signal });
      target.replaceChildren(...signal[0].map((_, channel) => chart(signal.map((row) => row[channel]))),
        ...bars(body.predictions[0]), answeredBy(body));
    } catch (error) {
      showError(target, error);
    }
  }

  for (const [name, shape] of Object.entries(SHAPES)) element(name).addEventListener("click", () => showExample(shape));
  element("classify").addEventListener("click", classify);
  return () => showExample(SHAPES.sine);
}
