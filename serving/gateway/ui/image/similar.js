// The items of a model's reference set that are most similar to a picture, with their pictures where the version has them.
import { count, english, make, rough } from "../elements.js";
import { cardOf, modelPath, send } from "../gateway.js";
import { t } from "../words.js";

const sheets = new Map(); // addresses of fetched pictures of all items, by model and version

export async function similar(model, { version, neighbours: [items] }) {
  const { neighbours } = await cardOf(model);
  const sheet = neighbours.sprite ? await sheetOf(model, version, neighbours.sprite) : null;
  return make("div", { class: "neighbours" }, make("h4", {}, t("Most similar items")),
    make("ul", { class: "similar" }, ...items.map((item) => make("li", {}, ...(sheet ? [tile(sheet, neighbours, item)] : []),
      english("b", {}, item.label), make("span", {}, t("distance {distance}", { distance: rough(item.distance) }))))),
    make("p", { class: "quiet" }, t("among {count} items:", { count: count(neighbours.references) }), " ",
      english("span", {}, neighbours.source)));
}

// Fetched rather than linked, because a server with keys wants the key.
function sheetOf({ name }, version, { file }) {
  const path = modelPath(name, `/versions/${version}/files/${encodeURIComponent(file)}`);
  if (!sheets.has(path)) {
    sheets.set(path, send(path).then((response) => response.blob()).then((blob) => URL.createObjectURL(blob)).catch(() => null));
  }
  return sheets.get(path);
}

function tile(sheet, { references, sprite: { columns, width, height } }, { index, label }) {
  const rows = Math.ceil(references / columns);
  const made = make("span", { class: "thumb", role: "img", "aria-label": label });
  made.style.aspectRatio = `${width} / ${height}`;
  made.style.backgroundImage = `url(${sheet})`;
  made.style.backgroundSize = `${columns * 100}% ${rows * 100}%`;
  const [column, row] = [index % columns, Math.floor(index / columns)];
  made.style.backgroundPosition = `${columns > 1 ? column / (columns - 1) * 100 : 0}% ${rows > 1 ? row / (rows - 1) * 100 : 0}%`;
  return made;
}
