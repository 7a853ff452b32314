// Series models: an example, a pasted history or a column of a CSV file, and its forecast beside the naive one.
import { chart } from "./chart.js";
import { answeredBy, busy, date, element, english, make, percent, plain, precise, showError, warning } from "./elements.js";
import { Latest, requestModel } from "./gateway.js";
import { numbers } from "./numbers.js";
import { t } from "./words.js";

const SHOWN = 60; // values of the history in the chart
const KEPT = 2000; // newest values of a file that are put into the field
const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()); // Box and Muller
const exact = (value) => String(Number(value.toPrecision(7))); // of a float32

export const title = t("How does a series go on?");
export const accepts = (file) => /^text\/|csv|excel/.test(file.type) || /\.(csv|tsv|txt)$/i.test(file.name);
export const content = `
  <div class="desk even">
    <div>
      <p class="row">
        <label class="button">${t("Choose a CSV file")}<input id="csv" type="file" accept=".csv,.tsv,.txt,text/csv"></label>
        <button id="example" type="button">${t("Example")}</button>
      </p>
      <p id="column-row" class="row" hidden><label>${t("Column")} <select id="column"></select></label></p>
      <p id="example-note" class="quiet" role="status"></p>
      <label class="tall">${t("History, the newest value last")}
        <textarea id="history" rows="9" spellcheck="false"></textarea>
      </label>
      <p class="row">
        <label>${t("Steps ahead")} <input id="horizon" type="number" min="1" value="12"></label>
        <button id="forecast" type="button" class="go">${t("Forecast")}</button>
      </p>
    </div>
    <div id="forecasts" class="answer plain"></div>
  </div>`;

export function start(section) {
  const latest = new Latest();
  const target = element("forecasts");
  let known = {}; // of an example or a file: the time of each value, the date of the last, and what came later
  let file = null;

  function put(history, note, more = {}) {
    element("history").value = history.slice(-KEPT).map(exact).join(", ");
    element("example-note").textContent = note;
    known = { ...more, times: more.times?.slice(-KEPT) };
    return forecast();
  }

  async function showExample() {
    const { card } = section.model;
    closeFile();
    if (card.series.step.includes("π")) {
      const phase = Math.floor(Math.random() * 20);
      const sine = Array.from({ length: Math.max(40, card.series.window) }, (_, step) => Number(Math.sin((phase + step) * Math.PI / 10).toFixed(4)));
      return put(sine, t("A sine."));
    }
    const { stock } = await import("./series/example.js");
    const isStock = card.series.step.endsWith("day") && card.series.unit === "USD" && card.series.window <= stock.history.length;
    if (isStock) {
      const about = t("Google's closing price until {date}, in USD. A real series: matplotlib's sample data.", { date: date(stock.last) });
      const seen = card.training.refitted && card.data.name.startsWith("GOOG");
      return put(stock.history, seen ? `${about} ${t("After its test, the model was fitted on what happened, too.")}` : about,
        { ...stock, last: date(stock.last) });
    }
    const { level, volatility } = card.inputs;
    const length = Math.max(40, card.series.window);
    let value = level ? level.mean : 100;
    const size = (volatility ? volatility.mean : 1) * Math.sqrt(6 / length); // of a step, for that deviation in a window
    const walk = Array.from({ length }, () => (value += size * normal()));
    return put(walk.map(plain).map(Number), t("A random walk at the level of the training data."));
  }

  function closeFile() {
    file = null;
    element("column-row").hidden = true;
  }

  async function open(chosen) {
    if (!chosen) return;
    closeFile();
    try {
      const { readCsv } = await import("./series/csv.js");
      file = { name: chosen.name || t("Pasted text"), ...readCsv(await chosen.arrayBuffer(), section.model.card.data.file?.column) };
    } catch (error) {
      element("example-note").textContent = "";
      return showError(target, error);
    }
    element("column").replaceChildren(...file.columns.map(({ name }, index) => make("option", { value: index }, name)));
    element("column").value = file.likely;
    element("column-row").hidden = file.columns.length < 2;
    return showColumn();
  }

  function showColumn() {
    const { values, times, dropped, thousands } = file.columns[element("column").value];
    const span = file.first ? [t("{first} to {last}", file)] : [];
    const without = dropped > 0 ? [t("{dropped} without a number left out", { dropped })] : [];
    const assumed = thousands ? [t("commas read as thousands")] : [];
    return put(values, [file.name, ...file.remarks, ...span, ...without, ...assumed].join(" · "), { times, last: file.last });
  }

  // Times that do not fit the model, such as rows with gaps, are left out, and `known.misfit` says why.
  async function request(document, signal) {
    const ask = (more) => requestModel(section.model.name, "forecast", { ...document, ...more, naive: true }, { signal });
    const of = known;
    if (!of.times) return ask({});
    try {
      return await ask({ timestamps: of.times });
    } catch (error) {
      if (error.code !== "bad_option") throw error;
      const body = await ask({});
      Object.assign(of, { times: null, misfit: error.detail });
      return body;
    }
  }

  function forecast() {
    return latest.run((signal) => busy(target, show(signal))).catch((error) =>
      showError(target, error, { kept: t("Your numbers are kept."), again: forecast }));
  }

  async function show(signal) {
    const history = numbers(element("history").value);
    const horizon = Number(element("horizon").value);
    const body = await request({ history, horizon }, signal);
    const [values] = body.forecasts;
    const { timestamps = null, naive } = values;
    const later = (known.later ?? []).slice(0, values.mean.length);
    const ends = timestamps ? [date(known.times.at(-Math.min(SHOWN, known.times.length))), date(known.times.at(-1)), date(timestamps.at(-1))]
      : ["", known.last ?? t("now"), `+${values.mean.length} × ${body.step}`];
    const drawn = chart(history.slice(-SHOWN), t("The history and its forecast"), { ...values, naive: naive.mean, later, ends });
    const repeated = naive.season > 1 ? t("naive: the value {season} steps before", naive) : t("naive: the last value again");
    const lines = [["mean", t("forecast")], ...(body.level ? [["band", t("{share} band", { share: percent(body.level) })]] : []),
      ["naive", repeated], ...(later.length > 0 ? [["later", t("what happened")]] : [])];
    const misfit = known.misfit ? [make("p", { class: "quiet" }, t("Without dates:"), " ", english("span", {}, known.misfit))] : [];
    target.replaceChildren(drawn, legend(lines),
      ...warning(values, t("This history is unlike the training data: do not rely on the forecast.")), figures(values, later, timestamps),
      answeredBy(body, ...(body.unit === "1" ? [] : [t("in {unit}", body)])), ...misfit);
  }

  element("history").addEventListener("input", () => {
    latest.cancel();
    closeFile();
    element("example-note").textContent = "";
    known = {};
  });
  element("horizon").addEventListener("change", forecast);
  element("column").addEventListener("change", showColumn);
  element("csv").addEventListener("change", ({ target: field }) => {
    open(field.files[0]);
    field.value = "";
  });
  element("example").addEventListener("click", showExample);
  element("forecast").addEventListener("click", forecast);
  section.receive = open;
  return () => {
    const { card } = section.model;
    element("horizon").max = card.series.max_horizon;
    element("horizon").value = Math.min(12, card.series.max_horizon);
    return file ? forecast() : showExample();
  };
}

const legend = (lines) => make("ul", { class: "legend" }, ...lines.map(([name, text]) => make("li", { class: name }, text)));

// The figures of the chart as a table, a row for each step.
function figures({ mean, lower, upper, naive }, later, timestamps) {
  const columns = [[t("forecast"), mean], ...(lower ? [[t("lower"), lower], [t("upper"), upper]] : []), [t("naive"), naive.mean],
    ...(later.length > 0 ? [[t("what happened"), later]] : [])];
  const head = make("tr", {}, ...[timestamps ? t("Time") : t("Step"), ...columns.map(([name]) => name)].map((name) => make("th", { scope: "col" }, name)));
  const rows = mean.map((_, step) => make("tr", {}, make("th", { scope: "row" }, timestamps ? date(timestamps[step]) : `+${step + 1}`),
    ...columns.map(([, values]) => make("td", {}, step in values ? precise(values[step]) : ""))));
  return make("details", { class: "figures" }, make("summary", {}, t("Figures as a table")),
    make("div", { tabindex: "0", role: "group", "aria-label": t("Figures as a table") },
      make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows))));
}
