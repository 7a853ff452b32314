// The page's language: the one chosen before, else the browser's first one that the page has, else English.
// English texts are the keys of the dictionary; a text without a translation stays English.
import { portuguese } from "./portuguese.js";

const DICTIONARIES = { en: {}, pt: portuguese };
const chosen = localStorage.getItem("language");
const wanted = [chosen ?? [], ...navigator.languages].flat().map((tag) => tag.slice(0, 2));

export const language = wanted.find((tag) => tag in DICTIONARIES) ?? "en";
export const locale = { en: "en", pt: "pt-PT" }[language];

// Translate a text; {name} is replaced by the value of that name.
export function t(text, values = {}) {
  return (DICTIONARIES[language][text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

// Reload the page in another language. The key and the drawing stay in the tab.
export function chooseLanguage(tag) {
  localStorage.setItem("language", tag);
  location.reload();
}
