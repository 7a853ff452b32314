// HTML elements and text formats that all parts of the page use.

export const element = (id) => document.getElementById(id);
export const percent = (share) => `${Number((share * 100).toFixed(1))} %`;
export const short = (value) => Number(value.toPrecision(4)).toString();
export const withUnit = (value, unit) => [Number(value.toPrecision(7)), unit].filter((part) => part !== null).join(" ");

export const make = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
export const draw = (name, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

export const showError = (target, error) => target.replaceChildren(make("p", { class: "error" }, error.message));
export const answeredBy = (body, more = "") => make("p", { class: "quiet" }, `${body.model}, version ${body.version}${more}`);

// The five most probable classes of a prediction, as bars.
export function bars(prediction) {
  const classes = Object.entries(prediction.probabilities).sort((a, b) => b[1] - a[1]).slice(0, 5);
  return classes.map(([label, share]) => make("div", { class: "bar" },
    make("b", { title: label }, label),
    make("div", { class: "track" }, draw("svg", { viewBox: "0 0 100 1", preserveAspectRatio: "none" },
      draw("rect", { width: share * 100, height: 1 }))),
    make("i", {}, percent(share))));
}
