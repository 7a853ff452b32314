// Table models: a field for each column of the card, and the predicted value.
import { answeredBy, element, make, short, showError, withUnit } from "./elements.js";
import { requestModel } from "./gateway.js";

export const title = "What value follows from a row?";
export const content = `
  <form id="row">
    <div id="columns"></div>
    <button class="go">Predict</button>
  </form>
  <div id="values" class="answer" aria-live="polite"></div>`;

export function start(section) {
  function showFields() {
    const { card } = section.model;
    element("values").replaceChildren();
    element("columns").replaceChildren(...card.table.columns.map((column) => field(column, card.inputs[column.name])));
  }

  element("row").addEventListener("submit", async (event) => {
    event.preventDefault();
    const target = element("values");
    const inputs = [...element("columns").querySelectorAll("input")];
    const features = Object.fromEntries(inputs.map((input) => [input.name, input.valueAsNumber]));
    const { name, card } = section.model;
    try {
      const body = await requestModel(name, "predict", { features });
      target.replaceChildren(
        make("p", { class: "value" }, `${body.target}: `, make("b", {}, withUnit(body.predictions[0].value, body.unit))),
        make("p", { class: "quiet" }, card.table.target.description), answeredBy(body));
    } catch (error) {
      showError(target, error);
    }
  });
  return showFields;
}

function field(column, statistics) {
  const bounds = Object.entries({ min: column.minimum, max: column.maximum }).filter(([, bound]) => bound !== null);
  return make("label", { class: "column", title: column.description },
    make("span", {}, make("b", {}, column.name), column.unit ? ` in ${column.unit}` : ""),
    make("input", { name: column.name, type: "number", step: "any", required: "",
      value: short(typical(column, statistics)), ...Object.fromEntries(bounds) }),
    make("small", {}, [column.description, range(column)].filter(Boolean).join("; ")));
}

function range({ minimum, maximum }) {
  if (minimum === null) return maximum === null ? "" : `at most ${short(maximum)}`;
  return maximum === null ? `at least ${short(minimum)}` : `${short(minimum)} to ${short(maximum)}`;
}

// The mean of the training data if the card has it, else a number within the range.
function typical({ minimum, maximum }, statistics) {
  const value = statistics?.mean ?? (minimum !== null && maximum !== null ? (minimum + maximum) / 2 : 0);
  return Math.min(Math.max(value, minimum ?? -Infinity), maximum ?? Infinity);
}
