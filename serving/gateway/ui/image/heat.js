// The heat map of a picture: the parts that its class depends on, in colour over the picture as the model read it.
import { make } from "../elements.js";
import { t } from "../words.js";

const SIDE = 28; // a smaller map is enlarged, so that the colour has soft borders
const COLOUR = [224, 64, 16];
const FAINT = 0.35; // of the picture below

const PLACES = [
  [t("top left"), t("at the top"), t("top right")],
  [t("on the left"), t("in the middle"), t("on the right")],
  [t("bottom left"), t("at the bottom"), t("bottom right")],
];

export async function heatOver(input, { class: label, heatmap }) {
  const picture = new Image();
  picture.src = `data:image/png;base64,${input}`;
  await picture.decode();
  const [height, width] = [heatmap.length, heatmap[0].length];
  const scale = Math.max(1, Math.ceil(8 * SIDE / Math.max(height, width)));
  const canvas = make("canvas", { width: width * scale, height: height * scale, role: "img",
    "aria-label": t("the picture with its heat map") });
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.globalAlpha = FAINT;
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  context.globalAlpha = 1;
  context.imageSmoothingEnabled = true;
  context.drawImage(layer(heatmap), 0, 0, canvas.width, canvas.height);
  return make("figure", { class: "heat", tabindex: "-1" }, canvas, make("figcaption", {}, t("Colour: the parts that {label} depends on, most of all {place}.",
    { label, place: placeOf(heatmap) })));
}

// The map as a picture whose opacity is the heat; parts that speak against the class stay clear.
function layer(heatmap) {
  const [height, width] = [heatmap.length, heatmap[0].length];
  const most = Math.max(...heatmap.map((row) => Math.max(...row)), Number.MIN_VALUE);
  const canvas = make("canvas", { width, height });
  const pixels = new ImageData(width, height);
  heatmap.flat().forEach((heat, index) => pixels.data.set([...COLOUR, 255 * Math.max(0, heat) / most], 4 * index));
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}

// Where the hottest cell is, in words.
function placeOf(heatmap) {
  const [height, width] = [heatmap.length, heatmap[0].length];
  const flat = heatmap.flat();
  const most = Math.max(...flat);
  const hot = flat.flatMap((heat, index) => (heat === most ? [index] : []));
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const row = Math.floor(3 * (mean(hot.map((index) => Math.floor(index / width))) + .5) / height);
  const column = Math.floor(3 * (mean(hot.map((index) => index % width)) + .5) / width);
  return PLACES[row][column];
}
