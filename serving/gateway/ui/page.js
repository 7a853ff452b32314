// The page: a section for each kind of model and one for all models. It uses the same API as every client.
import { element, make } from "./elements.js";
import { requestModels } from "./gateway.js";
import { Section } from "./section.js";
import { chooseLanguage, language, t } from "./words.js";

const TABS = { image: t("Pictures"), series: t("Series"), table: t("Tables"), signal: t("Signals") };
const MODELS = "models";

let models = [];
const sections = new Map();

async function load() {
  ({ models } = await requestModels());
  element("key-form").hidden = true;
  showProblem(models.length === 0 ? t("No models are configured yet.") : "");
  for (const kind of await kinds()) if (sections.has(kind)) await sections.get(kind).show(modelsOf(kind));
  await open();
}

const modelsOf = (kind) => models.filter((model) => model.kind === kind && model.default_version !== null && model.verbs.length > 0);

// The kinds of the models, in the order of the tabs; other kinds only if the page has a module for them.
async function kinds() {
  const present = new Set(models.map(({ kind }) => kind).filter((kind) => kind !== null && modelsOf(kind).length > 0));
  const others = [...present].filter((kind) => !(kind in TABS)).sort();
  const known = await Promise.all(others.map((kind) => moduleOf(kind).catch(() => null)));
  return [...Object.keys(TABS).filter((kind) => present.has(kind)), ...others.filter((_, index) => known[index])];
}

const moduleOf = (kind) => import(`./${encodeURIComponent(kind)}.js`);

// Show the section that the address names, or the first.
async function open() {
  const tabs = [...await kinds(), MODELS];
  const [wanted, ...rest] = location.hash.slice(1).split("/").map(decodeURIComponent);
  const shown = tabs.includes(wanted) ? wanted : tabs[0];
  element("tabs").replaceChildren(...tabs.map((tab) => make("a", { href: `#${tab}`, ...(tab === shown ? { "aria-current": "page" } : {}) },
    TABS[tab] ?? (tab === MODELS ? t("Models") : tab))));
  const section = shown === MODELS ? await modelsView() : await sectionOf(shown);
  for (const [tab, one] of sections) one.element.hidden = tab !== shown;
  if (shown === MODELS) await section.open(models, rest.join("/"));
  else sections.get(MODELS)?.close();
}

async function sectionOf(kind) {
  if (!sections.has(kind)) {
    const module = await moduleOf(kind);
    if (sections.has(kind)) return sections.get(kind);
    sections.set(kind, new Section(kind, module));
    await sections.get(kind).show(modelsOf(kind));
  }
  return sections.get(kind);
}

async function modelsView() {
  const { ModelsView } = await import("./models.js");
  if (!sections.has(MODELS)) sections.set(MODELS, new ModelsView());
  return sections.get(MODELS);
}

// Hand a dropped or pasted file to the section that is shown, or to the first that accepts it.
async function receive(file) {
  const list = await kinds();
  const shown = list.filter((kind) => sections.get(kind)?.element.hidden === false);
  for (const kind of [...shown, ...list]) {
    const { accepts } = await moduleOf(kind);
    if (!accepts?.(file)) continue;
    const section = await sectionOf(kind);
    if (section.element.hidden) history.pushState(null, "", `#${kind}`);
    await open();
    section.receive(file);
    return;
  }
  showProblem(t("No model here reads {name}.", { name: file.name || t("this file") }));
}

function showProblem(text) {
  element("problem").hidden = text === "";
  element("problem").textContent = text;
}

const attempt = (action) => action().catch((error) => showProblem([error.message, error.detail].filter(Boolean).join(" ")));

function chooseTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  const dark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  element("theme").textContent = dark ? "☀" : "☾";
  element("theme").setAttribute("aria-label", dark ? t("Light theme") : t("Dark theme"));
  element("theme").onclick = () => {
    localStorage.setItem("theme", dark ? "light" : "dark");
    chooseTheme(dark ? "light" : "dark");
  };
}

document.documentElement.lang = language;
for (const one of document.querySelectorAll("[data-text]")) one.textContent = t(one.textContent);
element("tabs").setAttribute("aria-label", t("Models by kind"));
chooseTheme(localStorage.getItem("theme"));
const other = language === "en" ? "pt" : "en";
element("language").textContent = { en: "English", pt: "Português" }[other];
element("language").setAttribute("lang", other);
element("language").addEventListener("click", () => chooseLanguage(other));
element("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", element("key").value.trim());
  attempt(load);
});
addEventListener("hashchange", () => attempt(open));
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) addEventListener(name, (event) => {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  const leaves = name === "drop" || (name === "dragleave" && event.relatedTarget === null);
  document.body.classList.toggle("dropping", !leaves);
  if (name === "drop") attempt(() => receive(event.dataTransfer.files[0]));
});
addEventListener("paste", (event) => {
  const [file] = event.clipboardData.files;
  if (file) attempt(() => receive(file));
  else if (!event.target.closest?.("input, textarea")) {
    const text = event.clipboardData.getData("text/plain");
    if (text.trim()) attempt(() => receive(new File([text], "", { type: "text/plain" })));
  }
});
attempt(load);
