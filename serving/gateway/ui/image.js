// Image models: the classes of a chosen or drawn picture, and the items most similar to it.
import { answeredBy, bars, element, make, short, showError } from "./elements.js";
import { modelPath, request } from "./gateway.js";

export const title = "What is in a picture?";
export const content = `
  <div class="side-by-side">
    <div>
      <label id="drop" class="drop" tabindex="0">
        <input id="file" type="file" accept="image/*">
        <span id="drop-text">Drop a picture here,<br>or choose one</span>
        <img id="preview" alt="the chosen picture" hidden>
      </label>
    </div>
    <div>
      <canvas id="canvas" width="280" height="280" aria-label="draw here"></canvas>
      <p class="row"><span>… or draw on this</span> <button id="clear" type="button">Clear</button></p>
    </div>
  </div>
  <label>Polarity
    <select id="polarity">
      <option value="auto">detect from the border</option>
      <option value="light_on_dark">light on dark</option>
      <option value="dark_on_light">dark on light</option>
    </select>
  </label>
  <div id="classes" class="answer" aria-live="polite"></div>`;

export function start(section) {
  let picture = null;
  let requests = 0; // an answer is dropped if a newer request was sent
  let modelChosen = false;

  async function classify(newest) {
    picture = newest;
    const number = ++requests;
    const { name, verbs, card } = section.model;
    const headers = { "content-type": picture.type || "application/octet-stream" };
    const send = (verb, more = "") => request(`${modelPath(name, verb)}?polarity=${element("polarity").value}${more}`,
      { method: "POST", body: picture, headers });
    const target = element("classes");
    try {
      const shown = [];
      if (verbs.includes("predict")) {
        const body = await send("predict");
        const notes = (body.notes ?? []).map((note) => make("p", { class: "note" }, note));
        shown.push(...bars(body.predictions[0]), ...notes, answeredBy(body));
      }
      if (verbs.includes("neighbours")) {
        const body = await send("neighbours", `&k=${Math.min(5, card.neighbours.max_k)}`);
        shown.push(make("h3", {}, "Most similar items"), make("ol", { class: "similar" }, ...body.neighbours[0].map((item) =>
          make("li", {}, make("b", {}, item.label), ` item ${item.index}, distance ${short(item.distance)}`))),
        answeredBy(body, `; among ${card.neighbours.references} items: ${card.neighbours.source}`));
      }
      if (number === requests) target.replaceChildren(...shown);
    } catch (error) {
      if (number === requests) showError(target, error);
    }
  }

  function choosePicture(file) {
    if (!file) return;
    element("preview").src = URL.createObjectURL(file);
    element("preview").hidden = false;
    element("drop-text").hidden = true;
    classify(file);
  }

  // Someone who draws before choosing a model most likely draws an X or an O.
  function preferDrawings() {
    const fits = ({ card }) => ["X", "O"].every((label) => card.labels.includes(label));
    const better = section.models.find(fits);
    if (better && !fits(section.model)) section.choose(better.name);
  }

  function enableDrawing() {
    const canvas = element("canvas");
    const pen = canvas.getContext("2d");
    let down = false;
    const clear = () => { pen.fillStyle = "#fff"; pen.fillRect(0, 0, canvas.width, canvas.height); };
    const position = (event) => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
    };
    clear();
    Object.assign(pen, { lineWidth: 16, lineCap: "round", lineJoin: "round", strokeStyle: "#1b2a4a" });
    canvas.addEventListener("pointerdown", (event) => {
      down = true;
      if (!modelChosen) preferDrawings();
      canvas.setPointerCapture(event.pointerId);
      pen.beginPath();
      pen.moveTo(...position(event));
      pen.lineTo(...position(event));
      pen.stroke();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!down) return;
      pen.lineTo(...position(event));
      pen.stroke();
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => {
      if (down) canvas.toBlob((blob) => classify(blob), "image/png");
      down = false;
    });
    element("clear").addEventListener("click", () => {
      clear();
      picture = null;
      requests++;
      element("classes").replaceChildren();
    });
  }

  enableDrawing();
  element("file").addEventListener("change", (event) => choosePicture(event.target.files[0]));
  for (const name of ["dragover", "dragleave", "drop"]) element("drop").addEventListener(name, (event) => {
    event.preventDefault();
    element("drop").classList.toggle("over", name === "dragover");
    if (name === "drop") choosePicture(event.dataTransfer.files[0]);
  });
  element("drop").addEventListener("keydown", (event) => { if (event.key === "Enter") element("file").click(); });
  element("image-model").addEventListener("change", () => { modelChosen = true; });
  element("polarity").addEventListener("change", () => { if (picture) classify(picture); });
  return () => { if (picture) classify(picture); };
}
