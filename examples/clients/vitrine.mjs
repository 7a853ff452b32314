// A small client for browsers and Node 18 or later. It needs no package.
//
//   const vitrine = new Vitrine("http://127.0.0.1:8000");
//   const answer = await vitrine.predict("fashion_cnn", picture);  // a File, Blob or Uint8Array
//   const forecast = await vitrine.forecast("sine_rnn", [0.31, 0.58], 3);

export class VitrineError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status; // undefined if no answer came
    this.code = code;
  }
}

export class Vitrine {
  constructor(url, { key, seconds = 30 } = {}) {
    this.url = url;
    this.headers = key ? { Authorization: `Bearer ${key}` } : {};
    this.seconds = seconds; // for a whole call, retries included
  }

  predict(model, picture) {
    return this.post(`/v1/models/${model}:predict?top=1`, picture, "application/octet-stream");
  }

  forecast(model, history, horizon) {
    return this.post(`/v1/models/${model}:forecast`, JSON.stringify({ history, horizon }), "application/json");
  }

  async post(path, body, type) {
    const signal = AbortSignal.timeout(this.seconds * 1000);
    for (;;) {
      let response, answer;
      try {
        const headers = { ...this.headers, "Content-Type": type };
        response = await fetch(this.url + path, { method: "POST", body, headers, signal });
        answer = await response.json();
      } catch (error) {
        const late = signal.aborted ? `no answer within ${this.seconds} s` : "the server does not answer";
        throw new VitrineError(response?.status, signal.aborted ? "timeout" : "unreachable", `${late} (${error.message})`);
      }
      if (response.ok) return answer;
      if (response.status !== 429 && response.status !== 503) throw new VitrineError(response.status, answer.code, answer.error);
      const pause = Number(response.headers.get("Retry-After") ?? 1);
      await new Promise((resolve) => setTimeout(resolve, pause * 1000));
    }
  }
}
