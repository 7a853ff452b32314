// HTML elements and text formats that all parts of the page use.
import { locale, t } from "./words.js";

export const element = (id) => document.getElementById(id);

const format = (options) => { const one = new Intl.NumberFormat(locale, options); return (value) => one.format(value); };
export const percent = format({ style: "percent", maximumFractionDigits: 1 });
const usual = format({ maximumSignificantDigits: 4 }), tiny = format({ maximumSignificantDigits: 2, notation: "scientific" });
export const figure = (value) => (value !== 0 && Math.abs(value) < 1e-4 ? tiny(value) : usual(value));
export const rough = format({ maximumSignificantDigits: 2 });
export const count = format({ maximumFractionDigits: 0 });
export const precise = format({ maximumSignificantDigits: 7 });
export const withUnit = (value, unit) => [precise(value), unit].filter(Boolean).join(" ");
// A date, with its time of day if it has one, as it is written: not in the browser's zone.
export const date = (text) => (text.length > 10
  ? new Date(text.slice(0, 16)).toLocaleString(locale, { dateStyle: "medium", timeStyle: "short" })
  : new Date(text).toLocaleDateString(locale, { dateStyle: "medium", timeZone: "UTC" }));
// A number as fields and numbers.js read it.
export const plain = (value) => Number(value.toPrecision(4)).toString();

export const make = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
export const draw = (name, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

// A text that is English in every language: names and notes of model cards, messages of the gateway.
export const english = (name, attributes, text) => make(name, { ...attributes, lang: "en" }, text);

// Show an error in place of an answer, with a button to try again where that may help.
export function showError(target, error, { kept = "", again = null } = {}) {
  const sentence = error.code === "no_answer" ? `${error.message} ${kept}` : error.message;
  target.replaceChildren(make("div", { class: "error", role: "alert" }, make("p", {}, sentence.trim()),
    ...(error.detail ? [english("p", { class: "quiet" }, error.detail)] : []),
    ...(error.again && again ? [button(t("Try again"), again)] : [])));
}

export function button(text, action, attributes = {}) {
  const made = make("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", action);
  return made;
}

const awaited = new WeakMap(); // the newest promise by element

// Show that an answer is awaited, after a moment; style in page.css.
export async function busy(target, promise) {
  awaited.set(target, promise);
  target.setAttribute("aria-busy", "true");
  try {
    return await promise;
  } finally {
    if (awaited.get(target) === promise) target.removeAttribute("aria-busy");
  }
}

export const answeredBy = (body, ...more) =>
  make("p", { class: "quiet" }, [t("version {version}", body), ...more].join(" · "));

// The page's own sentence for a row that the gateway warns of, or nothing.
export const warning = (row, sentence) => (row.warning ? [make("p", { class: "note" }, sentence)] : []);

// The most probable classes of a prediction, as bars.
export function bars(prediction, most = 5) {
  const classes = Object.entries(prediction.probabilities).sort((a, b) => b[1] - a[1]).slice(0, most);
  return make("ul", { class: "bars" }, ...classes.map(([label, share]) => {
    const bar = make("span", { class: "bar" });
    bar.style.width = `${share * 100}%`;
    return make("li", {}, make("b", { title: label }, label), make("span", { class: "track" }, bar), make("i", {}, percent(share)));
  }));
}
