// Requests to the gateway, with the API key of this tab if it has one. Errors are sentences for people.
import { element } from "./elements.js";
import { t } from "./words.js";

// A failed request: `message` is a sentence, `detail` the gateway's own message, in English, if it sent one.
export class Problem extends Error {
  constructor(message, { code = "", detail = "", again = false } = {}) {
    super(message);
    Object.assign(this, { code, detail, again });
  }
}

const SENTENCES = {
  bad_document: "These values cannot be used.",
  bad_option: "These values cannot be used.",
  bad_output: "The model gave no usable answer.",
  bad_picture: "This picture cannot be used.",
  bad_tensor: "These values cannot be used.",
  bad_upstream: "The model gave no usable answer.",
  conflict: "This change is not possible now.",
  deadline_exceeded: "The model took too long.",
  forbidden: "The key does not allow this.",
  overloaded: "The server is busy.",
  read_only: "This change is not possible now.",
  too_large: "The file is too large.",
  too_late: "The file took too long to arrive.",
  too_many_requests: "Too many requests. Wait a moment.",
  unauthorized: "The server needs a valid API key.",
  unavailable: "The model is not available now.",
  version_gone: "The model is not available now.",
};
const PASSING = ["deadline_exceeded", "overloaded", "too_late", "too_many_requests", "unavailable", "version_gone"];

export async function request(path, options = {}) {
  const response = await send(path, options);
  return response.json().catch(() => { throw new Problem(t("The server's answer cannot be read."), { again: true }); });
}

// A response whose body is no JSON: metrics, a picture.
export async function send(path, { headers = {}, ...options } = {}) {
  const key = sessionStorage.getItem("key");
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...headers, ...(key ? { authorization: `Bearer ${key}` } : {}) } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (key && /[^\x20-\x7e]/.test(key)) throw new Problem(t("The server needs a valid API key."));
    throw new Problem(t("The server does not answer."), { code: "no_answer", again: true });
  }
  if (response.ok) return response;
  const { code, error } = await response.json().catch(() => ({}));
  if (response.status === 401) element("key-form").hidden = false;
  throw new Problem(SENTENCES[code] ? t(SENTENCES[code]) : t("The server refused the request."),
    { code, detail: error, again: PASSING.includes(code) });
}

export const modelPath = (model, verb) => `/v1/models/${encodeURIComponent(model)}${verb}`;

export const requestModel = (model, verb, document, options) => request(modelPath(model, `:${verb}`), {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(document),
  ...options,
});

// The list of models. With a key the address differs from the one that index.html preloads, because that is without the key.
export const requestModels = () => request(sessionStorage.getItem("key") ? "/v1/models?" : "/v1/models");

const cards = new Map();

// The card of the version that answers by default.
export function cardOf(model) {
  if (!cards.has(model.name)) cards.set(model.name, request(modelPath(model.name, "/card")));
  return cards.get(model.name);
}

// Runs tasks of which only the newest counts: a new one aborts the one before.
export class Latest {
  #controller = null;

  async run(task) {
    this.cancel();
    const controller = this.#controller = new AbortController();
    try {
      return await task(controller.signal);
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    } finally {
      if (this.#controller === controller) this.#controller = null;
    }
  }

  get running() { return this.#controller !== null; }

  cancel() {
    this.#controller?.abort();
    this.#controller = null;
  }
}
