// Sample pictures, also for people who use the keyboard: drawn X and O, and photographs of clothes.
import { button, draw } from "../elements.js";
import { t } from "../words.js";

const circle = Array.from({ length: 41 }, (_, step) => step * Math.PI / 20).map((angle) =>
  [0.5 + 0.3 * Math.cos(angle - 1.4), 0.5 + 0.32 * Math.sin(angle - 1.4)]);
const DRAWINGS = {
  X: [[[0.24, 0.2], [0.5, 0.52], [0.78, 0.8]], [[0.75, 0.22], [0.5, 0.5], [0.22, 0.79]]],
  O: [circle],
};
// The tiles of samples.png: pictures of Fashion-MNIST's test part, by Zalando Research, MIT licence.
const CLOTHES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];
const TILE = 28;

// Buttons for models of these classes. `drawLines` and `take` show a drawing and a picture.
export async function samples(labels, drawLines, take) {
  if (labels.includes("X") && labels.includes("O")) return Object.entries(DRAWINGS).map(([label, lines]) =>
    sample(label, () => drawLines(lines), draw("svg", { viewBox: "0 0 1 1" }, ...lines.map((points) =>
      draw("polyline", { points: points.join(" ") })))));
  if (!CLOTHES.every((label) => labels.includes(label))) return [];
  const sheet = new Image();
  sheet.src = "/page/image/samples.png";
  await sheet.decode();
  return CLOTHES.map((label, index) => {
    const tile = document.createElement("canvas");
    tile.width = tile.height = TILE;
    tile.getContext("2d").drawImage(sheet, -index * TILE, 0);
    return sample(label, async () => take(await (file(tile, label))), tile);
  });
}

function sample(label, action, picture) {
  const made = button("", action, { class: "sample", "aria-label": t("Sample: {label}", { label }), title: label });
  made.append(picture);
  return made;
}

function file(tile, label) {
  const text = atob(tile.toDataURL("image/png").split(",")[1]);
  return new File([Uint8Array.from(text, (letter) => letter.charCodeAt(0))], `${label}.png`, { type: "image/png" });
}
