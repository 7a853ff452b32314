// Table models: a field for each column of the card, and the predicted value.
import { answeredBy, busy, element, english, figure, make, plain, showError, withUnit } from "./elements.js";
import { Latest, requestModel } from "./gateway.js";
import { t } from "./words.js";

export const title = t("What value follows from a row?");
export const content = `
  <div class="desk even">
    <form id="row">
      <div id="columns"></div>
      <button class="go">${t("Predict")}</button>
    </form>
    <div id="values" class="answer" role="status"></div>
  </div>`;

export function start(section) {
  const latest = new Latest();
  const target = element("values");

  function predict() {
    const inputs = [...element("columns").querySelectorAll("input")];
    const features = Object.fromEntries(inputs.map((input) => [input.name, input.valueAsNumber]));
    return latest.run((signal) => busy(target, show(features, signal))).catch((error) =>
      showError(target, error, { kept: t("Your numbers are kept."), again: predict }));
  }

  async function show(features, signal) {
    const { name, card } = section.model;
    const body = await requestModel(name, "predict", { features }, { signal });
    target.replaceChildren(english("h3", {}, body.target),
      make("p", { class: "verdict" }, make("b", {}, withUnit(body.predictions[0].value, body.unit))),
      english("p", { class: "quiet" }, card.table.target.description), answeredBy(body));
  }

  element("columns").addEventListener("input", () => latest.cancel());
  element("row").addEventListener("submit", (event) => {
    event.preventDefault();
    predict();
  });
  return () => {
    const { card } = section.model;
    element("columns").replaceChildren(...card.table.columns.map((column) => field(column, card.inputs[column.name])));
    return predict();
  };
}

function field(column, statistics) {
  const bounds = { min: column.minimum, max: column.maximum };
  return make("label", { class: "column" },
    english("span", {}, column.name), column.unit ? ` ${t("in {unit}", column)}` : "",
    make("input", { name: column.name, type: "number", step: "any", required: "", value: plain(typical(column, statistics)), ...bounds }),
    make("small", {}, english("span", {}, column.description), range(column)));
}

function range({ minimum, maximum }) {
  if (minimum === null && maximum === null) return "";
  if (minimum === null) return `; ${t("at most {value}", { value: figure(maximum) })}`;
  if (maximum === null) return `; ${t("at least {value}", { value: figure(minimum) })}`;
  return `; ${t("{first} to {last}", { first: figure(minimum), last: figure(maximum) })}`;
}

// The mean of the training data if the card has it, else a number within the range.
function typical({ minimum, maximum }, statistics) {
  const value = statistics?.mean ?? (minimum !== null && maximum !== null ? (minimum + maximum) / 2 : 0);
  return Math.min(Math.max(value, minimum ?? -Infinity), maximum ?? Infinity);
}
