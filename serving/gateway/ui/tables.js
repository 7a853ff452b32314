// Table rows: one field for each column of the card, and the value that the model gives for them.
import { askModel, chosenModel, element, madeBy, make, offer, refuse, short, withUnit } from "./elements.js";

export function offerTables() {
  offer("table", ({ kind, verbs }) => kind === "table" && verbs.includes("predict"), fields);
}

function fields() {
  const { card } = chosenModel("table");
  element("values").replaceChildren();
  element("columns").replaceChildren(...card.table.columns.map((column) => {
    const bounds = Object.entries({ min: column.minimum, max: column.maximum }).filter(([, bound]) => bound !== null);
    return make("label", { class: "column", title: column.description },
      make("span", {}, make("b", {}, column.name), column.unit ? ` in ${column.unit}` : ""),
      make("input", { name: column.name, type: "number", step: "any", required: "",
        value: short(typical(column, card.inputs[column.name])), ...Object.fromEntries(bounds) }),
      make("small", {}, [column.description, range(column)].filter(Boolean).join("; ")));
  }));
}

function range({ minimum, maximum }) {
  if (minimum === null) return maximum === null ? "" : `at most ${short(maximum)}`;
  return maximum === null ? `at least ${short(minimum)}` : `${short(minimum)} to ${short(maximum)}`;
}

// The mean of the training data, where the card has it; else a number that the range allows.
function typical({ minimum, maximum }, statistics) {
  const value = statistics?.mean ?? (minimum !== null && maximum !== null ? (minimum + maximum) / 2 : 0);
  return Math.min(Math.max(value, minimum ?? -Infinity), maximum ?? Infinity);
}

async function predict(event) {
  event.preventDefault();
  const place = element("values");
  const inputs = [...element("columns").querySelectorAll("input")];
  const features = Object.fromEntries(inputs.map((input) => [input.name, input.valueAsNumber]));
  const { name, card } = chosenModel("table");
  try {
    const body = await askModel(name, "predict", { features });
    place.replaceChildren(
      make("p", { class: "value" }, `${body.target}: `, make("b", {}, withUnit(body.predictions[0].value, body.unit))),
      make("p", { class: "quiet" }, card.table.target.description), madeBy(body));
  } catch (error) {
    refuse(place, error);
  }
}

element("row").addEventListener("submit", predict);
