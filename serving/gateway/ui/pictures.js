// Pictures, chosen or drawn: their classes, and the items most similar to them.
import { ask, bars, chosenModel, element, known, madeBy, make, offer, refuse, short } from "./elements.js";

let lastPicture = null;
let asked = 0;
let chosen = false;

export function offerPictures() {
  offer("picture", ({ kind, verbs }) => kind === "image" && ["predict", "neighbours"].some((verb) => verbs.includes(verb)),
    () => { if (lastPicture) look(lastPicture); });
}

async function look(picture) {
  lastPicture = picture;
  const number = ++asked;
  const { name, verbs, card } = chosenModel("picture");
  const options = { method: "POST", body: picture, headers: { "content-type": picture.type || "application/octet-stream" } };
  const send = (verb, more = "") =>
    ask(`/v1/models/${encodeURIComponent(name)}:${verb}?polarity=${element("polarity").value}${more}`, options);
  const place = element("classes");
  try {
    const shown = [];
    if (verbs.includes("predict")) {
      const body = await send("predict");
      const notes = (body.notes ?? []).map((note) => make("p", { class: "note" }, note));
      shown.push(...bars(body.predictions[0]), ...notes, madeBy(body));
    }
    if (verbs.includes("neighbours")) {
      const body = await send("neighbours", `&k=${Math.min(5, card.neighbours.max_k)}`);
      shown.push(make("h3", {}, "Most similar to it"), make("ol", { class: "similar" }, ...body.neighbours[0].map((item) =>
        make("li", {}, make("b", {}, item.label), ` item ${item.index}, distance ${short(item.distance)}`))),
      madeBy(body, `; among ${card.neighbours.references} items: ${card.neighbours.source}`));
    }
    if (number === asked) place.replaceChildren(...shown); // else a newer picture is on its way
  } catch (error) {
    if (number === asked) refuse(place, error);
  }
}

function choose(file) {
  if (!file) return;
  element("preview").src = URL.createObjectURL(file);
  element("preview").hidden = false;
  element("drop-text").hidden = true;
  look(file);
}

// Who draws before choosing a model most likely draws an X or an O.
function preferDrawings() {
  const select = element("picture-model");
  const fits = (name) => ["X", "O"].every((label) => known.get(name).card.labels.includes(label));
  const better = [...select.options].map((option) => option.value).find(fits);
  if (better && !fits(select.value)) {
    select.value = better;
    select.onchange();
  }
}

function drawing() {
  const canvas = element("canvas");
  const pen = canvas.getContext("2d");
  let down = false;
  const wipe = () => { pen.fillStyle = "#fff"; pen.fillRect(0, 0, canvas.width, canvas.height); };
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
  };
  wipe();
  Object.assign(pen, { lineWidth: 16, lineCap: "round", lineJoin: "round", strokeStyle: "#1b2a4a" });
  canvas.addEventListener("pointerdown", (event) => {
    down = true;
    if (!chosen) preferDrawings();
    canvas.setPointerCapture(event.pointerId);
    pen.beginPath();
    pen.moveTo(...place(event));
    pen.lineTo(...place(event));
    pen.stroke();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!down) return;
    pen.lineTo(...place(event));
    pen.stroke();
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => {
    if (down) canvas.toBlob((blob) => look(blob), "image/png");
    down = false;
  });
  element("clear").addEventListener("click", () => {
    wipe();
    lastPicture = null;
    asked++; // an answer that is under way is to a drawing that is gone
    element("classes").replaceChildren();
  });
}

drawing();
element("file").addEventListener("change", (event) => choose(event.target.files[0]));
for (const name of ["dragover", "dragleave", "drop"]) element("drop").addEventListener(name, (event) => {
  event.preventDefault();
  element("drop").classList.toggle("over", name === "dragover");
  if (name === "drop") choose(event.dataTransfer.files[0]);
});
element("drop").addEventListener("keydown", (event) => { if (event.key === "Enter") element("file").click(); });
element("picture-model").addEventListener("change", () => { chosen = true; });
element("polarity").addEventListener("change", () => { if (lastPicture) look(lastPicture); });
