// A line chart as SVG: a history with its forecast, or one channel of a signal.
import { draw, short } from "./elements.js";

const [width, height, left, margin] = [640, 240, 52, 12];

export function chart(history, { mean = [], lower = null, upper = null } = {}) {
  const all = [...history, ...mean, ...(lower ?? []), ...(upper ?? [])];
  const low = Math.min(...all), high = Math.max(...all), span = high - low || 1;
  const steps = history.length + mean.length - 1 || 1;
  const x = (step) => left + step * (width - left - margin) / steps;
  const y = (value) => height - margin - (value - low) / span * (height - 2 * margin);
  const points = (values, first) => values.map((value, index) => `${x(first + index).toFixed(1)},${y(value).toFixed(1)}`);
  const last = history.length - 1, newest = history[last];
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img",
    "aria-label": mean.length > 0 ? "the history and its forecast" : "the signal" });
  for (const value of [low, low + span / 2, high]) {
    const label = draw("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" });
    label.textContent = short(Math.abs(value) < span / 1000 ? 0 : value);
    svg.append(draw("line", { class: "grid", x1: left, x2: width - margin, y1: y(value), y2: y(value) }), label);
  }
  if (lower) svg.append(draw("polygon", { class: "band",
    points: [...points([newest, ...lower], last), ...points([newest, ...upper], last).reverse()].join(" ") }));
  svg.append(draw("polyline", { class: "history", points: points(history, 0).join(" ") }));
  if (mean.length > 0) svg.append(
    draw("polyline", { class: "mean", points: points([newest, ...mean], last).join(" ") }),
    draw("circle", { class: "dot", cx: x(last), cy: y(newest), r: 3 }));
  return svg;
}
