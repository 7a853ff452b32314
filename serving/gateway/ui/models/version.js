// The versions of a model: state, share of the traffic, card, plots, drift, and what may be done with them.
import { warnings } from "../card.js";
import { button, count, date, element, english, figure, make, percent, showError } from "../elements.js";
import { modelPath, request, send } from "../gateway.js";
import { t } from "../words.js";
import { actions, rollBack } from "./actions.js";

const STATES = { START: "waiting", LOADING: "loading", AVAILABLE: "available", UNLOADING: "unloading", END: "unloaded", ON_DISK: "not loaded" };
const SPRITE = "references.png";

// The elements of a model's versions; `opened` holds the ids of the cards that are open.
export async function versionView({ model, admin, versions }, opened, changed) {
  const live = versions.filter(({ share }) => share > 0);
  const rolledBack = admin.allowed ? [rollBack(model, changed)]
    : [make("p", { class: "quiet" }, t("Versions cannot be changed from here:"), " ", english("span", {}, admin.reason ?? ""), " ",
      button(t("Use a key"), () => { element("key-form").hidden = false; element("key").focus(); }, { class: "link" }))];
  return [...rolledBack, make("ol", { class: "versions" }, ...versions.map((one) => version(model, one, admin.allowed, live, opened, changed)))];
}

function version(model, one, allowed, live, opened, changed) {
  const id = `version-${one.version}`;
  const body = make("div", { class: "details" });
  const details = make("details", { id }, make("summary", {}, t("Card, plots and drift")), body);
  details.addEventListener("toggle", () => { if (details.open && !body.hasChildNodes()) showDetails(body, model, one); });
  if (opened.has(id)) details.open = true;
  const bar = make("span", { class: "bar" });
  bar.style.width = `${one.share}%`;
  const facts = [t(STATES[one.state] ?? one.state), ...one.labels, ...(one.created ? [date(one.created)] : []),
    ...(one.shadow > 0 ? [t("gets copies of {share}", { share: percent(one.shadow / 100) })] : []), ...liveFigures(one.live)];
  return make("li", {}, make("div", { class: "head" }, make("h3", {}, t("Version {version}", one)),
    make("span", { class: "quiet" }, facts.join(" · ")),
    make("span", { class: "share" }, make("span", { class: "track" }, bar), percent(one.share / 100)),
    ...(allowed ? actions(model, one, live, changed) : [])),
  ...(one.error ? [english("p", { class: "note" }, one.error)] : []), details);
}

function liveFigures(live) {
  if (live === null) return [];
  const rows = count(live.rows);
  return live.accuracy === null
    ? [t("mean error {error} on {rows} true values", { error: figure(live.mean_absolute_error), rows })]
    : [t("right on {share} of {rows} true labels", { share: percent(live.accuracy), rows })];
}

async function showDetails(body, model, one) {
  body.replaceChildren(make("p", { class: "quiet" }, "…"));
  try {
    const path = (rest) => modelPath(model, `/versions/${one.version}/${rest}`);
    const [card, drift] = await Promise.all([request(path("card")), request(path("drift")).catch(() => null)]);
    const plots = one.files.filter((name) => name !== SPRITE).map((name) => plot(path(`files/${encodeURIComponent(name)}?created=${one.created}`), name));
    body.replaceChildren(english("p", {}, card.title), ...warnings(card), facts(card), ...driftTable(drift), make("div", { class: "plots" }, ...plots));
  } catch (error) {
    showError(body, error, { again: () => showDetails(body, model, one) });
  }
}

function facts(card) {
  const rows = [
    [t("Trained"), date(card.created)],
    [t("Data"), [card.data.name, ...Object.entries(card.data.rows).map(([part, rows]) => `${part} ${count(rows)}`)].join(", ")],
    [t("Licence of the data"), card.data.licence],
    ...(card.data.file ? [[t("File"), [card.data.file.column, [card.data.file.first, card.data.file.last].filter(Boolean).join(" – "),
      ...card.data.file.reading].filter(Boolean).join(" · ")]] : []),
    [t("Parameters"), count(card.parameters)],
    ...Object.entries(card.metrics).map(([name, value]) => [name.replaceAll("_", " "), figure(value) +
      (name in card.printed ? ` (${t("in the course: {value}", { value: figure(card.printed[name]) })})` : "")]),
    ...(card.gate ? [[t("Before publishing"), card.gate.reasons.join("; ")]] : []),
  ].filter(([, value]) => value);
  return make("dl", {}, ...rows.map(([name, value]) => make("div", {}, make("dt", {}, name), english("dd", {}, value))));
}

function driftTable(drift) {
  if (drift === null || Object.keys(drift.quantities).length === 0) return [];
  const rows = Object.entries(drift.quantities).map(([name, { psi, rows }]) => make("tr", {}, english("th", { scope: "row" }, name),
    make("td", {}, psi === null ? "–" : figure(psi)), make("td", {}, verdict(psi)), make("td", {}, t("{rows} rows", { rows }))));
  return [make("h4", {}, t("Drift from the training data")), make("table", {}, make("tbody", {}, ...rows))];
}

function verdict(psi) {
  if (psi === null) return t("too few requests");
  return psi < 0.1 ? t("as in training") : psi < 0.25 ? t("somewhat different") : t("very different");
}

// Fetched rather than linked, because a server with keys wants the key.
function plot(path, name) {
  const text = name.replace(/\.png$/, "").replaceAll("_", " ");
  const image = make("img", { alt: text, hidden: "" });
  send(path).then((response) => response.blob()).then((blob) => {
    image.src = URL.createObjectURL(blob);
    image.hidden = false;
  }).catch(() => { image.after(t("The plot {name} is not available.", { name: text })); });
  return image;
}
