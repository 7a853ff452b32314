// Signal models: a generated or pasted signal, drawn as a line, and its classes.
import { chart } from "./chart.js";
import { answeredBy, bars, busy, element, plain, showError, warning } from "./elements.js";
import { Latest, requestModel } from "./gateway.js";
import { numbers } from "./numbers.js";
import { t } from "./words.js";

const PERIODS = 5, NOISE = 0.2;
const SHAPES = { // over one period, 0…1
  sine: (phase) => Math.sin(2 * Math.PI * phase),
  square: (phase) => (phase < 0.5 ? 1 : -1),
  sawtooth: (phase) => 2 * phase - 1,
};

export const title = t("What kind of signal is it?");
export const content = `
  <div class="desk even">
    <div>
      <p class="row">
        <button id="sine" type="button">${t("Sine")}</button>
        <button id="square" type="button">${t("Square wave")}</button>
        <button id="sawtooth" type="button">${t("Sawtooth")}</button>
      </p>
      <p id="signal-note" class="quiet"></p>
      <label class="tall">${t("Samples")}
        <textarea id="samples-of-signal" rows="9" spellcheck="false"></textarea>
      </label>
      <p class="row"><button id="classify" type="button" class="go">${t("Classify")}</button></p>
    </div>
    <div id="signal-classes" class="answer plain" role="status"></div>
  </div>`;

export function start(section) {
  const latest = new Latest();
  const target = element("signal-classes");
  const field = element("samples-of-signal");

  function showExample(shape) {
    const { length, channels, sampling, unit } = section.model.card.signal;
    const sample = (index) => shape((PERIODS * index / length) % 1) + (Math.random() - 0.5) * NOISE;
    const rows = Array.from({ length }, (_, index) => Array.from({ length: channels }, () => sample(index)));
    field.value = rows.flat().map(plain).join(", ");
    element("signal-note").textContent = [
      channels > 1 ? t("{length} samples of {channels} channels", { length, channels }) : t("{length} samples", { length }),
      t("{sampling} apart", { sampling }), ...(unit === "1" ? [] : [t("in {unit}", { unit })]),
      t("The examples are generated."),
    ].join(" · ");
    return classify();
  }

  function classify() {
    return latest.run((signal) => busy(target, show(signal))).catch((error) =>
      showError(target, error, { kept: t("Your numbers are kept."), again: classify }));
  }

  async function show(signal) {
    const { name, card } = section.model;
    const { length, channels } = card.signal;
    const samples = numbers(field.value);
    if (samples.length !== length * channels) throw new Error(
      t("The model reads {wanted} numbers, but there are {given}.", { wanted: length * channels, given: samples.length }));
    const rows = Array.from({ length }, (_, row) => samples.slice(row * channels, (row + 1) * channels));
    const body = await requestModel(name, "predict", { signal: rows }, { signal });
    target.replaceChildren(...rows[0].map((_, channel) => chart(rows.map((row) => row[channel]), t("The signal"))),
      ...warning(body.predictions[0], t("This signal is unlike the training data: do not rely on the answer.")),
      bars(body.predictions[0]), answeredBy(body));
  }

  field.addEventListener("input", () => latest.cancel());
  for (const [name, shape] of Object.entries(SHAPES)) element(name).addEventListener("click", () => showExample(shape));
  element("classify").addEventListener("click", classify);
  return () => showExample(SHAPES.sine);
}
