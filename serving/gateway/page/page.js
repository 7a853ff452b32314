// The page's one script. It speaks the same API as everybody else: GET /v1/models, :predict, :forecast.
"use strict";

const element = (id) => document.getElementById(id);
const cards = new Map();
let lastPicture = null;
let asked = 0;
let chosen = false;

function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function draw(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

async function ask(path, options = {}) {
  const key = sessionStorage.getItem("key");
  const headers = { ...options.headers, ...(key ? { authorization: `Bearer ${key}` } : {}) };
  const answer = await fetch(path, { ...options, headers });
  const body = await answer.json();
  if (answer.status === 401) element("door").hidden = false;
  if (!answer.ok) throw new Error(body.error);
  return body;
}

const percent = (share) => `${Number((share * 100).toFixed(1))} %`;
const short = (value) => Number(Number(value.toPrecision(4)).toFixed(6)).toString();

// ---- what there is

async function load() {
  const { models } = await ask("/v1/models");
  element("models").replaceChildren(...models.map((model) => make("tr", {},
    make("td", {}, model.name),
    make("td", {}, model.title ?? "no card: tensors in, tensors out"),
    make("td", {}, String(model.default_version ?? "–")),
    make("td", {}, model.problem ?? (model.versions.map((one) => `${one.version} ${one.state}`).join(", ") || "–")),
    make("td", {}, model.verbs.map((verb) => `:${verb}`).join(" ") || ":predict"))));
  const usable = models.filter((model) => model.default_version !== null && model.kind !== null);
  for (const model of usable) cards.set(model.name, await ask(`/v1/models/${encodeURIComponent(model.name)}/card`));
  choices("picture-model", usable.filter((model) => model.kind === "image" && model.verbs.includes("predict")));
  choices("series-model", usable.filter((model) => model.kind === "series"));
  element("trouble").hidden = models.length > 0 && models.every((model) => model.problem === null);
  element("trouble").textContent = models.length === 0 ? "No models are configured yet." :
    models.map((model) => model.problem).find((problem) => problem !== null) ?? "";
  showCard("picture");
  showCard("series");
  example();
}

function choices(id, models) {
  const section = element(id).closest("section");
  section.hidden = models.length === 0;
  element(id).replaceChildren(...models.map((model) =>
    make("option", { value: model.name, title: model.title }, model.name)));
}

function showCard(kind) {
  const card = cards.get(element(`${kind}-model`).value);
  const place = element(`${kind}-card`);
  place.replaceChildren();
  if (!card) return;
  const measured = Object.entries(card.metrics).filter(([name]) => name.startsWith("test") || name === "naive_mae");
  place.append(make("p", {}, `${card.title}. Trained on ${card.data.name}. ` +
    measured.map(([name, value]) => `${name.replaceAll("_", " ")} ${short(value)}`).join(", ")));
  const notes = [...card.notes];
  if (card.training.quick) notes.unshift("A quick run: it shows the way, its answers mean little.");
  if (card.data.stand_in) notes.unshift(`Not trained on the real data: ${card.data.stand_in}`);
  place.append(...notes.map((note) => make("p", { class: "note" }, note)));
}

// ---- pictures

async function classify(picture) {
  lastPicture = picture;
  const number = ++asked;
  const model = encodeURIComponent(element("picture-model").value);
  const place = element("classes");
  try {
    const body = await ask(`/v1/models/${model}:predict?polarity=${element("polarity").value}`,
      { method: "POST", body: picture, headers: { "content-type": picture.type || "application/octet-stream" } });
    if (number !== asked) return; // a newer picture is on its way
    const bars = Object.entries(body.predictions[0].probabilities).sort((a, b) => b[1] - a[1]).slice(0, 5);
    place.replaceChildren(...bars.map(([label, share]) => make("div", { class: "bar" },
      make("b", { title: label }, label),
      make("div", { class: "track" }, draw("svg", { viewBox: "0 0 100 1", preserveAspectRatio: "none" },
        draw("rect", { width: share * 100, height: 1 }))),
      make("i", {}, percent(share)))), make("p", { class: "quiet" }, `${body.model}, version ${body.version}`));
  } catch (error) {
    place.replaceChildren(make("p", { class: "error" }, error.message));
  }
}

function choose(file) {
  if (!file) return;
  element("preview").src = URL.createObjectURL(file);
  element("preview").hidden = false;
  element("drop-text").hidden = true;
  classify(file);
}

// Who draws before choosing a model most likely draws an X or an O.
function preferDrawings() {
  const select = element("picture-model");
  const fits = (name) => ["X", "O"].every((label) => cards.get(name).labels.includes(label));
  const better = [...select.options].map((option) => option.value).find(fits);
  if (better && !fits(select.value)) {
    select.value = better;
    showCard("picture");
  }
}

function drawing() {
  const canvas = element("canvas");
  const pen = canvas.getContext("2d");
  let down = false;
  const wipe = () => { pen.fillStyle = "#fff"; pen.fillRect(0, 0, canvas.width, canvas.height); };
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
  };
  wipe();
  Object.assign(pen, { lineWidth: 16, lineCap: "round", lineJoin: "round", strokeStyle: "#1b2a4a" });
  canvas.addEventListener("pointerdown", (event) => {
    down = true;
    if (!chosen) preferDrawings();
    canvas.setPointerCapture(event.pointerId);
    pen.beginPath();
    pen.moveTo(...place(event));
    pen.lineTo(...place(event));
    pen.stroke();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!down) return;
    pen.lineTo(...place(event));
    pen.stroke();
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => {
    if (down) canvas.toBlob((blob) => classify(blob), "image/png");
    down = false;
  });
  element("clear").addEventListener("click", () => { wipe(); element("classes").replaceChildren(); });
}

// ---- series

function example() {
  const card = cards.get(element("series-model").value);
  if (!card) return;
  const length = Math.max(40, card.series.window);
  const start = Math.floor(Math.random() * 20);
  const level = card.inputs.level, sway = card.inputs.volatility;
  let made;
  if (card.series.step.includes("π")) {
    made = Array.from({ length }, (_, place) => Math.sin((start + place) * Math.PI / 10));
    element("example-note").textContent = "The example is a sine.";
  } else {
    let value = level ? level.mean : 100;
    const step = sway ? sway.mean : 1;
    made = Array.from({ length }, () => (value += (Math.random() - 0.5) * step));
    element("example-note").textContent = "The example is made up: a random walk at the height of the training data.";
  }
  element("history").value = made.map(short).join(", ");
  element("horizon").max = card.series.max_horizon;
  element("horizon").value = Math.min(12, card.series.max_horizon);
  forecast();
}

async function forecast() {
  const model = element("series-model").value;
  const history = element("history").value.split(/[\s,;]+/).filter(Boolean).map(Number);
  const place = element("chart");
  if (history.some(Number.isNaN)) {
    place.replaceChildren(make("p", { class: "error" }, "The history must be numbers, apart by commas or spaces."));
    return;
  }
  try {
    const body = await ask(`/v1/models/${encodeURIComponent(model)}:forecast`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ history, horizon: Number(element("horizon").value) }),
    });
    const band = body.level ? `, band meant to hold ${percent(body.level)}` : "";
    place.replaceChildren(chart(history.slice(-60), body.forecasts[0]),
      make("p", { class: "quiet" }, `${body.model}, version ${body.version}; one step is ${body.step}, unit ${body.unit}${band}`));
  } catch (error) {
    place.replaceChildren(make("p", { class: "error" }, error.message));
  }
}

function chart(history, { mean, lower, upper }) {
  const [width, height, left, edge] = [640, 240, 52, 12];
  const all = [...history, ...mean, ...(lower ?? []), ...(upper ?? [])];
  const low = Math.min(...all), high = Math.max(...all), span = high - low || 1;
  const steps = history.length + mean.length - 1 || 1;
  const x = (step) => left + step * (width - left - edge) / steps;
  const y = (value) => height - edge - (value - low) / span * (height - 2 * edge);
  const points = (values, first) => values.map((value, place) => `${x(first + place).toFixed(1)},${y(value).toFixed(1)}`);
  const last = history.length - 1, newest = history[last];
  const picture = draw("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img",
    "aria-label": "the history and its forecast" });
  for (const value of [low, low + span / 2, high]) {
    const label = draw("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" });
    label.textContent = short(Math.abs(value) < span / 1000 ? 0 : value);
    picture.append(draw("line", { class: "grid", x1: left, x2: width - edge, y1: y(value), y2: y(value) }), label);
  }
  if (lower) picture.append(draw("polygon", { class: "band",
    points: [...points([newest, ...lower], last), ...points([newest, ...upper], last).reverse()].join(" ") }));
  picture.append(
    draw("polyline", { class: "history", points: points(history, 0).join(" ") }),
    draw("polyline", { class: "mean", points: points([newest, ...mean], last).join(" ") }),
    draw("circle", { class: "dot", cx: x(last), cy: y(newest), r: 3 }));
  return picture;
}

// ---- hands

drawing();
element("file").addEventListener("change", (event) => choose(event.target.files[0]));
for (const name of ["dragover", "dragleave", "drop"]) element("drop").addEventListener(name, (event) => {
  event.preventDefault();
  element("drop").classList.toggle("over", name === "dragover");
  if (name === "drop") choose(event.dataTransfer.files[0]);
});
element("drop").addEventListener("keydown", (event) => { if (event.key === "Enter") element("file").click(); });
for (const id of ["picture-model", "polarity"]) element(id).addEventListener("change", () => {
  chosen = true;
  showCard("picture");
  if (lastPicture) classify(lastPicture);
});
element("series-model").addEventListener("change", () => { showCard("series"); example(); });
element("example").addEventListener("click", example);
element("forecast").addEventListener("click", forecast);
const start = () => load().catch((error) => {
  element("trouble").hidden = false;
  element("trouble").textContent = error.message;
});
element("door").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", element("key").value.trim()); // gone with this tab
  element("door").hidden = true;
  start();
});
start();
