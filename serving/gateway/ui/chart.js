// A line chart as SVG: a history with its forecast, or one channel of a signal.
import { draw, figure } from "./elements.js";

const [width, height, left, right, top, bottom] = [720, 340, 56, 12, 12, 28];

// `later` holds values that came after the history; `ends` labels for the first step, the last of the history and the last.
export function chart(history, label, { mean = [], lower = null, upper = null, naive = [], later = [], ends = [] } = {}) {
  const all = [history, mean, lower ?? [], upper ?? [], naive, later].flat();
  const low = all.reduce((a, b) => Math.min(a, b)), high = all.reduce((a, b) => Math.max(a, b)), span = high - low || 1;
  const steps = history.length + mean.length - 1 || 1;
  const x = (step) => left + step * (width - left - right) / steps;
  const y = (value) => height - bottom - (value - low) / span * (height - top - bottom);
  const points = (values, first) => values.map((value, index) => `${x(first + index).toFixed(1)},${y(value).toFixed(1)}`);
  const last = history.length - 1, newest = history[last];
  const line = (name, values) => draw("polyline", { class: name, points: points([newest, ...values], last).join(" ") });
  const text = (content, at, anchor) => draw("text", { ...at, "text-anchor": anchor }, content);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": label });
  for (const value of [low, low + span / 2, high]) svg.append(
    draw("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }),
    text(figure(Math.abs(value) < span / 1000 ? 0 : value), { x: left - 8, y: y(value) + 4 }, "end"));
  if (lower) svg.append(draw("polygon", { class: "band",
    points: [...points([newest, ...lower], last), ...points([newest, ...upper], last).reverse()].join(" ") }));
  svg.append(draw("polyline", { class: "history", points: points(history, 0).join(" ") }));
  if (naive.length > 0) svg.append(line("naive", naive));
  if (later.length > 0) svg.append(line("later", later));
  if (mean.length > 0) svg.append(line("mean", mean), draw("circle", { class: "dot", cx: x(last), cy: y(newest), r: 4 }));
  const crowded = ends[1] && ends[2] && x(steps) - x(last) < 10 * (ends[1].length / 2 + ends[2].length);
  const below = crowded ? [ends[0], "", `${ends[1]} … ${ends[2]}`] : ends;
  for (const [index, at] of [[0, 0], [1, last], [2, steps]]) {
    if (below[index]) svg.append(text(below[index], { x: x(at), y: height - 6 }, ["start", "middle", "end"][index]));
  }
  return svg;
}
