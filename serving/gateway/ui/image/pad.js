// A canvas to draw on. It is kept when the tab is reloaded.
const SIDE = 280; // pixels of the picture that models get; the canvas has more
const WIDTH = 16 / SIDE;
const INK = "#1b2a4a";

export class Pad {
  #canvas;
  #pen;
  #changed;
  #down = false;
  empty = true;

  // `changed` is called with false after each movement of the pen, and with true when it is lifted.
  constructor(canvas, changed) {
    this.#canvas = canvas;
    this.#pen = canvas.getContext("2d", { willReadFrequently: true });
    this.#changed = changed;
    this.clear();
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => this.#end());
    addEventListener("pagehide", () => {
      if (this.empty) sessionStorage.removeItem("drawing");
      else sessionStorage.setItem("drawing", this.#small().toDataURL());
    });
  }

  clear() {
    this.#pen.fillStyle = "#fff";
    this.#pen.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    this.empty = true;
  }

  // Show the drawing that this tab had before it was reloaded, if that is still wanted when it is decoded.
  async restore(wanted) {
    const kept = sessionStorage.getItem("drawing");
    if (!kept) return;
    const image = new Image();
    image.src = kept;
    await image.decode();
    if (!this.empty || !wanted()) return;
    this.#pen.drawImage(image, 0, 0, this.#canvas.width, this.#canvas.height);
    this.empty = false;
    this.#changed(true);
  }

  // Draw lines of points from 0 to 1.
  draw(lines) {
    this.clear();
    for (const [first, ...others] of lines) {
      this.#start(first);
      for (const point of others) this.#line(point);
    }
    this.#changed(true);
  }

  // The drawing as a PNG file. canvas.toBlob waits for an idle moment of the browser, up to a second.
  png() {
    const text = atob(this.#small().toDataURL("image/png").split(",")[1]);
    return new Blob([Uint8Array.from(text, (letter) => letter.charCodeAt(0))], { type: "image/png" });
  }

  #small() {
    const small = document.createElement("canvas");
    small.width = small.height = SIDE;
    small.getContext("2d", { willReadFrequently: true }).drawImage(this.#canvas, 0, 0, SIDE, SIDE);
    return small;
  }

  #begin(event) {
    if (event.button !== 0) return;
    this.#down = true;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#start(this.#position(event));
    this.#changed(false);
  }

  #move(event) {
    if (!this.#down) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length > 0 ? events : [event]) this.#line(this.#position(one));
    this.#changed(false);
  }

  #end() {
    if (this.#down) this.#changed(true);
    this.#down = false;
  }

  #start(point) {
    const { width, height } = this.#canvas;
    Object.assign(this.#pen, { lineWidth: WIDTH * width, lineCap: "round", lineJoin: "round", strokeStyle: INK });
    this.#pen.beginPath();
    this.#pen.moveTo(point[0] * width, point[1] * height);
    this.empty = false;
    this.#line(point);
  }

  #line([x, y]) {
    const { width, height } = this.#canvas;
    this.#pen.lineTo(x * width, y * height);
    this.#pen.stroke();
    this.#pen.beginPath();
    this.#pen.moveTo(x * width, y * height);
  }

  #position(event) {
    const box = this.#canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }
}
