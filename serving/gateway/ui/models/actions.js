// Promote a version, give it part of the traffic, or go back; each is confirmed first.
import { button, make, showError } from "../elements.js";
import { requestModel } from "../gateway.js";
import { t } from "../words.js";

const AVAILABLE = "AVAILABLE";

// The buttons of one version.
export function actions(model, { version, state, share, error }, live, changed) {
  if (error || live.length === 1 && share === 100) return [];
  const promote = button(t("Promote"), () => confirm(t("All requests to {model} go to version {version}.", { model, version }),
    t("Promote"), () => requestModel(model, "promote", { version, label: "stable" }), changed));
  if (state !== AVAILABLE || live.length === 0) return [promote];
  const percent = make("input", { type: "number", min: 1, max: 100, value: share > 0 ? Math.round(share) : 10, required: "" });
  const canary = button(t("Canary…"), () => confirm(
    make("label", {}, `${t("Percentage of the requests to {model} that version {version} answers:", { model, version })} `, percent),
    t("Start"), () => requestModel(model, "canary", { version, percent: percent.valueAsNumber }), changed));
  return [promote, canary];
}

export const rollBack = (model, changed) => make("p", { class: "row" }, button(t("Roll back"), () =>
  confirm(t("This ends a canary of {model}. Without one, the version before becomes live again.", { model }),
    t("Roll back"), () => requestModel(model, "rollback", {}), changed)));

function confirm(content, verb, action, changed) {
  const problem = make("div");
  const go = make("button", { class: "go" }, verb);
  const form = make("form", { method: "dialog" }, make("p", {}, content), problem,
    make("p", { class: "row" }, go, button(t("Cancel"), () => dialog.close())));
  const dialog = make("dialog", { "aria-label": verb }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    go.disabled = true;
    try {
      await action();
      dialog.close();
      await changed();
    } catch (error) {
      showError(problem, error);
    } finally {
      go.disabled = false;
    }
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
