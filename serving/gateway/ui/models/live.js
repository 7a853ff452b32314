// Requests a second and latency, from two readings of /metrics.
import { send } from "../gateway.js";

const LINE = /^vitrine_(requests_total|request_seconds_bucket)\{(.*)\} (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

export class LiveFigures {
  #before = null;
  #now = null;

  get fresh() { return this.#before === null; }

  async read() {
    const text = await (await send("/metrics")).text();
    this.#before = this.#now;
    this.#now = { time: performance.now(), ...parse(text) };
  }

  // Requests a second, and the median and 95th percentile of their time in milliseconds; null where unknown.
  // Without a model: of all of them.
  of(model) {
    if (this.#before === null) return { rate: null, median: null, slow: null };
    const since = (kind) => (key) => (this.#now[kind].get(key) ?? 0) - (this.#before[kind].get(key) ?? 0);
    const requests = [...this.#now.requests.keys()].filter((name) => model === null ? name !== "" : name === model);
    const count = requests.map(since("requests")).reduce((a, b) => a + b, 0);
    const bounds = new Map();
    for (const key of this.#now.buckets.keys()) {
      const [name, bound] = key.split("\n");
      if (model === null ? name !== "" : name === model) bounds.set(Number(bound), (bounds.get(Number(bound)) ?? 0) + since("buckets")(key));
    }
    const sorted = [...bounds].sort(([a], [b]) => a - b);
    return { rate: count * 1000 / (this.#now.time - this.#before.time), median: quantile(sorted, 0.5), slow: quantile(sorted, 0.95) };
  }
}

function parse(text) {
  const requests = new Map(), buckets = new Map();
  for (const line of text.split("\n")) {
    const [, metric, labels, value] = LINE.exec(line) ?? [];
    if (!metric) continue;
    const { model, le } = Object.fromEntries([...labels.matchAll(LABEL)].map(([, name, label]) => [name, label]));
    const [map, key] = metric === "requests_total" ? [requests, model] : [buckets, `${model}\n${le === "+Inf" ? "Infinity" : le}`];
    map.set(key, (map.get(key) ?? 0) + Number(value));
  }
  return { requests, buckets };
}

// Linear within the bucket, as Prometheus' histogram_quantile; counts are cumulative.
function quantile(buckets, share) {
  const total = buckets.at(-1)?.[1] ?? 0;
  if (total === 0) return null;
  const index = buckets.findIndex(([, count]) => count >= share * total);
  const [low, below] = index > 0 ? buckets[index - 1] : [0, 0];
  const [high, count] = buckets[index];
  return 1000 * (high === Infinity ? low : low + (high - low) * (share * total - below) / (count - below));
}
