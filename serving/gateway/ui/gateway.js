// Requests to the gateway, with the API key of this tab if it has one.
import { element } from "./elements.js";

export async function request(path, options = {}) {
  const key = sessionStorage.getItem("key");
  const headers = { ...options.headers, ...(key ? { authorization: `Bearer ${key}` } : {}) };
  const response = await fetch(path, { ...options, headers });
  const body = await response.json();
  if (response.status === 401) element("key-form").hidden = false;
  if (!response.ok) throw new Error(body.error);
  return body;
}

export const modelPath = (model, verb) => `/v1/models/${encodeURIComponent(model)}:${verb}`;

export const requestModel = (model, verb, document) => request(modelPath(model, verb), {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(document),
});
