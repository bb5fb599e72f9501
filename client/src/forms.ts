import { versioned } from "./carrier.js";

/** Native form posts. A form that is sent by GET is a link, and goes to the current release as links do. */
export function patchForms(): void {
  // After the application's own listeners: most forms are sent by a script, and then their URL is not our concern.
  addEventListener("submit", (event) => {
    const form = event.target;
    if (!event.defaultPrevented && form instanceof HTMLFormElement) address(form, event.submitter);
  });
  const { submit } = HTMLFormElement.prototype;
  HTMLFormElement.prototype.submit = function () {
    address(this, null);
    submit.call(this);
  };
}

/** Gives the form's URL the version for as long as the browser takes to read it. */
function address(form: HTMLFormElement, submitter: HTMLElement | null): void {
  // Attributes, because a field named "action" hides the property.
  const method = submitter?.getAttribute("formmethod") ?? form.getAttribute("method");
  if (method?.toLowerCase() !== "post") return;
  const [owner, name] = submitter?.hasAttribute("formaction") ? [submitter, "formaction"] : [form, "action"];
  const before = owner.getAttribute(name);
  const during = versioned(before || document.URL);
  if (during === (before || document.URL)) return;
  owner.setAttribute(name, during);
  setTimeout(() => {
    if (owner.getAttribute(name) !== during) return;
    if (before === null) owner.removeAttribute(name);
    else owner.setAttribute(name, before);
  });
}
