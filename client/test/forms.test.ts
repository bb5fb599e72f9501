import { beforeEach, describe, expect, test, vi } from "vitest";
import { open, replace } from "./page.js";

const HERE_WITH_QUERY = "https://shop.example.com/cart/7?tab=2";

/** The form's URL at the moment at which the browser would read it. */
let read: (string | null)[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  read = [];
  replace(HTMLFormElement.prototype, "submit", function (this: HTMLFormElement) {
    read.push(this.getAttribute("action"));
  });
});

function form(html: string): HTMLFormElement {
  document.body.innerHTML = html;
  return document.querySelector("form") as HTMLFormElement;
}

/** What the browser does after a click on a button. */
function send(element: HTMLFormElement): HTMLElement | null {
  const submitter = element.querySelector("button");
  const event = new SubmitEvent("submit", { bubbles: true, cancelable: true, submitter });
  if (element.dispatchEvent(event)) read.push(submitter?.getAttribute("formaction") ?? element.getAttribute("action"));
  return submitter;
}

describe("a form that is posted says the version in its URL", () => {
  test("by its button, and looks as before afterwards", async () => {
    await open();
    const element = form('<form method="POST" action="/api/order"><button></button></form>');
    send(element);
    expect(read).toEqual(["/api/order?dpl=1.4.2"]);
    vi.runAllTimers();
    expect(element.getAttribute("action")).toBe("/api/order");
  });

  test("by submit()", async () => {
    await open();
    const element = form('<form method="post" action="/api/order?from=cart"></form>');
    element.submit();
    expect(read).toEqual(["/api/order?from=cart&dpl=1.4.2"]);
  });

  test("to the URL of the button", async () => {
    await open();
    const element = form('<form method="post" action="/api/order"><button formaction="/api/draft"></button></form>');
    const button = send(element);
    expect(read).toEqual(["/api/draft?dpl=1.4.2"]);
    vi.runAllTimers();
    expect([element.getAttribute("action"), button?.getAttribute("formaction")]).toEqual(["/api/order", "/api/draft"]);
  });

  test("by the method of the button", async () => {
    await open();
    send(form('<form action="/api/order"><button formmethod="post"></button></form>'));
    expect(read).toEqual(["/api/order?dpl=1.4.2"]);
  });

  test("to the page itself, with its query", async () => {
    await open();
    const element = form('<form method="post"><button></button></form>');
    send(element);
    expect(read).toEqual([`${HERE_WITH_QUERY}&dpl=1.4.2`]);
    vi.runAllTimers();
    expect(element.hasAttribute("action")).toBe(false);
  });

  test("with a field that is called as the property", async () => {
    await open();
    form('<form method="post" action="/api/order"><input name="action"><input name="method"></form>');
    HTMLFormElement.prototype.submit.call(document.querySelector("form"));
    expect(read).toEqual(["/api/order?dpl=1.4.2"]);
  });
});

test.each([
  ["goes elsewhere", '<form method="post" action="https://elsewhere.example.com/x"><button></button></form>'],
  ["says a version", '<form method="post" action="/api/order?dpl=1.3.0"><button></button></form>'],
  ["is sent by GET", '<form action="/search"><button></button></form>'],
  ["closes a dialog", '<form method="dialog" action="/x"><button></button></form>'],
  ["is a function of React", '<form method="post" action="javascript:throw 1"><button></button></form>'],
])("a form that %s is left alone", async (_, html) => {
  await open();
  const element = form(html);
  const before = element.getAttribute("action");
  send(element);
  expect(read).toEqual([before]);
});

test("a form that a script sends is left alone: the script may show its URL", async () => {
  await open();
  const element = form('<form method="post" action="/cart"><button></button></form>');
  element.addEventListener("submit", (event) => event.preventDefault());
  send(element);
  expect([read, element.getAttribute("action")]).toEqual([[], "/cart"]);
});

test("a URL that the application changes in the meantime is kept", async () => {
  await open();
  const element = form('<form method="post" action="/api/order"><button></button></form>');
  send(element);
  element.setAttribute("action", "/api/other");
  vi.runAllTimers();
  expect(element.getAttribute("action")).toBe("/api/other");
});
