// Image models: a drawn, chosen, dropped or pasted picture, and what all models of the same classes see in it.
import { element, showError } from "./elements.js";
import { Latest } from "./gateway.js";
import { Answer } from "./image/answer.js";
import { Pad } from "./image/pad.js";
import { t } from "./words.js";

const PAUSE = 40; // milliseconds after a movement of the pen

export const title = t("What is in a picture?");
export const early = true;
export const accepts = (file) => file.type.startsWith("image/");
export const content = `
  <div class="desk">
    <div class="pad">
      <div class="paper">
        <canvas id="canvas" width="560" height="560" role="img" aria-label="${t("Drawing pad")}" aria-describedby="pad-help"></canvas>
        <img id="preview" alt="${t("the chosen picture")}" hidden>
        <p id="hint" aria-hidden="true"></p>
        <p id="unseen" hidden></p>
      </div>
      <p class="row">
        <button id="clear" type="button">${t("Clear")}</button>
        <label class="button">${t("Choose a picture")}<input id="file" type="file" accept="image/*"></label>
        <label class="button touch">${t("Camera")}<input id="camera" type="file" accept="image/*" capture="environment"></label>
      </p>
    </div>
    <div class="found-in"><div id="trouble"></div><div id="answers"></div><p id="spoken" class="hidden" role="status"></p></div>
    <div class="more">
      <p id="pad-help" class="quiet">${t("Draw here, or drop or paste a picture anywhere. With the keyboard: choose a sample or a file.")}</p>
      <div id="samples" role="group" aria-label="${t("Sample pictures")}"></div>
      <details class="quiet"><summary>${t("Options")}</summary>
        <label>${t("Polarity")} <select id="polarity">
          <option value="auto">${t("detect from the border")}</option>
          <option value="light_on_dark">${t("light on dark")}</option>
          <option value="dark_on_light">${t("dark on light")}</option>
        </select></label>
      </details>
    </div>
  </div>`;

// Models of the same classes answer side by side.
export function choices(models) {
  const groups = new Map();
  for (const model of models.filter(({ verbs }) => verbs.includes("predict") || verbs.includes("neighbours"))) {
    const key = model.classes.length > 0 ? [...model.classes].sort().join("\n") : model.name;
    groups.set(key, [...(groups.get(key) ?? []), model]);
  }
  const all = [...groups].map(([key, members]) => ({ key, name: nameOf(members), models: members }));
  return all.sort((a, b) => isDrawn(b) - isDrawn(a)); // drawings first, because everyone can try them at once
}

const isDrawn = ({ models: [{ classes }] }) => classes.length === 2 && classes.includes("X") && classes.includes("O");

function nameOf(models) {
  if (isDrawn({ models })) return t("X or O");
  const [first, ...others] = models.map(({ name }) => name.split("_"));
  const shared = first.filter((part, index) => others.every((other) => other[index] === part));
  return others.length > 0 && shared.length > 0 ? shared.join(" ") : first.join(" ");
}

export function start(section) {
  const latest = new Latest();
  let answers = [];
  let picture = null; // a chosen one; null for a drawing
  let chosen = false; // a person has chosen the models
  let timer = null;

  const pad = new Pad(element("canvas"), (finished) => {
    showPicture(null);
    showHint();
    if (!chosen) prefer(isDrawn);
    if (finished) return ask(true);
    later();
  });

  // Ask after a pause, and not before the answer to the drawing so far has come.
  function later() {
    timer ??= setTimeout(() => {
      timer = null;
      if (latest.running) later();
      else ask(false);
    }, PAUSE);
  }

  const polarity = () => element("polarity").value;

  function ask(finished) {
    clearTimeout(timer);
    timer = null;
    if (picture === null && pad.empty) return;
    const sent = picture ?? Object.assign(pad.png(), { drawn: true });
    return latest.run(async (signal) => {
      const said = await Promise.all(answers.map((one) => one.ask(sent, polarity(), signal, () => ask(true))));
      element("trouble").replaceChildren();
      if (finished) element("spoken").textContent = said.filter(Boolean).join("; ");
    }).catch((error) => {
      for (const one of answers) one.clear();
      const kept = sent.drawn ? t("Your drawing is kept.") : t("Your picture is kept.");
      showError(element("trouble"), error, { kept, again: () => ask(true) });
    });
  }

  function forget() {
    latest.cancel();
    clearTimeout(timer);
    timer = null;
    showPicture(null);
    pad.clear();
    showHint();
    for (const one of answers) one.clear();
    element("trouble").replaceChildren();
    element("spoken").textContent = "";
  }

  function showHint() {
    element("hint").hidden = picture !== null || !pad.empty;
    element("hint").textContent = isDrawn(section.choice) ? t("Draw an X or an O") : t("Draw here, or drop a picture");
  }

  // Show a chosen picture on the pad, or none.
  function showPicture(file) {
    if (file === picture) return;
    picture = file;
    const preview = element("preview");
    URL.revokeObjectURL(preview.src);
    element("unseen").hidden = true;
    preview.hidden = true;
    if (file === null) return preview.removeAttribute("src");
    preview.src = URL.createObjectURL(file);
  }
  element("preview").addEventListener("load", () => { element("preview").hidden = false; });
  element("preview").addEventListener("error", () => {
    if (picture === null) return;
    element("unseen").textContent = t("The browser cannot show {name}.", { name: picture.name || t("this picture") });
    element("unseen").hidden = false;
  });

  function take(file) {
    if (!file) return;
    if (file.type && !accepts(file)) { // the file chooser offers all files, too
      forget();
      return showError(element("trouble"), new Error(t("{name} is not a picture.", { name: file.name })));
    }
    pad.clear();
    if (!chosen) prefer((choice) => !isDrawn(choice));
    showPicture(file);
    showHint();
    ask(true);
  }

  function prefer(fits) {
    const better = section.choices.find(fits);
    if (better && !fits(section.choice)) section.choose(better.key);
  }

  for (const id of ["file", "camera"]) element(id).addEventListener("change", ({ target }) => {
    take(target.files[0]);
    target.value = ""; // so that the same file can be chosen again
  });
  element("clear").addEventListener("click", forget);
  element("polarity").addEventListener("change", () => ask(true));
  section.element.addEventListener("change", ({ target }) => { if (target.type === "radio") chosen = true; });
  section.receive = take;

  async function showSamples() {
    const { choice } = section;
    const { samples } = await import("./image/samples.js");
    const made = await samples(choice.models[0].classes, (lines) => pad.draw(lines), take);
    if (section.choice === choice) element("samples").replaceChildren(...made);
  }

  return () => {
    answers = section.choice.models.map((model) => new Answer(model));
    for (const one of answers) one.clear();
    element("answers").replaceChildren(...answers.map((one) => one.element));
    showHint();
    if (picture === null && pad.empty) pad.restore(() => picture === null);
    ask(true);
    showSamples();
  };
}
