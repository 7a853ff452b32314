// Lines over steps, as SVG: a history and what is forecast of it, or one signal.
import { draw, short } from "./elements.js";

const [width, height, left, edge] = [640, 240, 52, 12];

export function chart(history, { mean = [], lower = null, upper = null } = {}) {
  const all = [...history, ...mean, ...(lower ?? []), ...(upper ?? [])];
  const low = Math.min(...all), high = Math.max(...all), span = high - low || 1;
  const steps = history.length + mean.length - 1 || 1;
  const x = (step) => left + step * (width - left - edge) / steps;
  const y = (value) => height - edge - (value - low) / span * (height - 2 * edge);
  const points = (values, first) => values.map((value, place) => `${x(first + place).toFixed(1)},${y(value).toFixed(1)}`);
  const last = history.length - 1, newest = history[last];
  const picture = draw("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img",
    "aria-label": mean.length > 0 ? "the history and its forecast" : "the signal" });
  for (const value of [low, low + span / 2, high]) {
    const label = draw("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" });
    label.textContent = short(Math.abs(value) < span / 1000 ? 0 : value);
    picture.append(draw("line", { class: "grid", x1: left, x2: width - edge, y1: y(value), y2: y(value) }), label);
  }
  if (lower) picture.append(draw("polygon", { class: "band",
    points: [...points([newest, ...lower], last), ...points([newest, ...upper], last).reverse()].join(" ") }));
  picture.append(draw("polyline", { class: "history", points: points(history, 0).join(" ") }));
  if (mean.length > 0) picture.append(
    draw("polyline", { class: "mean", points: points([newest, ...mean], last).join(" ") }),
    draw("circle", { class: "dot", cx: x(last), cy: y(newest), r: 3 }));
  return picture;
}
