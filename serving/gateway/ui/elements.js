// What all parts of the page use: making elements, asking the gateway, and what is known of its models.

export const element = (id) => document.getElementById(id);
export const percent = (share) => `${Number((share * 100).toFixed(1))} %`;
export const short = (value) => Number(value.toPrecision(4)).toString();
export const withUnit = (value, unit) => [Number(value.toPrecision(7)), unit].filter((part) => part !== null).join(" ");

// Model name → its entry in GET /v1/models, with its card.
export const known = new Map();

export function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function draw(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export async function ask(path, options = {}) {
  const key = sessionStorage.getItem("key");
  const headers = { ...options.headers, ...(key ? { authorization: `Bearer ${key}` } : {}) };
  const answer = await fetch(path, { ...options, headers });
  const body = await answer.json();
  if (answer.status === 401) element("door").hidden = false;
  if (!answer.ok) throw new Error(body.error);
  return body;
}

export const askModel = (model, verb, document) => ask(`/v1/models/${encodeURIComponent(model)}:${verb}`, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(document),
});

export const refuse = (place, error) => place.replaceChildren(make("p", { class: "error" }, error.message));
export const madeBy = (body, more = "") => make("p", { class: "quiet" }, `${body.model}, version ${body.version}${more}`);

const NUMBER = /^[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?$/i;

// The numbers of a text, separated by commas, semicolons or white space. A comma between digits may be a decimal one: it
// separates numbers only if nothing else does. As serving/inputs/histories.py has it.
export function numbers(text) {
  const inner = text.replace(/^[\s,;]+|[\s,;]+$/g, "");
  let parts = inner.split(/[ \t\r\n;]+|,[ \t\r\n]+/).filter(Boolean);
  if (parts.length === 1) parts = parts[0].split(",");
  return parts.map((part) => {
    const plain = part.replace("−", "-");
    if (NUMBER.test(plain) && Number.isFinite(Number(plain))) return Number(plain);
    throw new Error(part.includes(",")
      ? `“${part}” is not a number. Write decimals with a point, and a space after each comma between numbers.`
      : `Numbers are expected, such as 0.31, not “${part}”.`);
  });
}

// The five most probable classes of a prediction.
export function bars(prediction) {
  const classes = Object.entries(prediction.probabilities).sort((a, b) => b[1] - a[1]).slice(0, 5);
  return classes.map(([label, share]) => make("div", { class: "bar" },
    make("b", { title: label }, label),
    make("div", { class: "track" }, draw("svg", { viewBox: "0 0 100 1", preserveAspectRatio: "none" },
      draw("rect", { width: share * 100, height: 1 }))),
    make("i", {}, percent(share))));
}

// A section's choice of models; without any the section is not there. Calls back now and whenever another is chosen.
export function offer(kind, fits, chosen) {
  const select = element(`${kind}-model`);
  const models = [...known.values()].filter(fits);
  element(kind).hidden = models.length === 0;
  select.replaceChildren(...models.map(({ name, title }) => make("option", { value: name, title }, name)));
  select.onchange = () => { showCard(kind); chosen(); };
  if (models.length > 0) select.onchange();
}

export const chosenModel = (kind) => known.get(element(`${kind}-model`).value);

export function showCard(kind) {
  const { card } = chosenModel(kind);
  const measured = Object.entries(card.metrics).filter(([name]) => name.startsWith("test") || name === "naive_mae");
  const notes = [...card.notes];
  if (card.training.quick) notes.unshift("A quick run: it shows the way, its answers mean little.");
  if (card.data.stand_in) notes.unshift(`Not trained on the real data: ${card.data.stand_in}`);
  element(`${kind}-card`).replaceChildren(
    make("p", {}, `${card.title}. Trained on ${card.data.name}. ` +
      measured.map(([name, value]) => `${name.replaceAll("_", " ")} ${short(value)}`).join(", ")),
    ...notes.map((note) => make("p", { class: "note" }, note)));
}
