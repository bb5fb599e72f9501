import { beforeEach, expect, test, vi } from "vitest";
import { guardText } from "../src/guard.js";
import { replace } from "./page.js";

const ENTRY = "https://shop.example.com/assets/v-1.4.2/main.js";
const reload = vi.fn();

beforeEach(() => {
  reload.mockClear();
  sessionStorage.clear();
  document.body.replaceChildren();
});

/** Runs the guard in a page whose entry script was not loaded; this is how the server answers a request for it. */
async function missing(answer: () => Promise<Response>, type = "module"): Promise<void> {
  const native = window.addEventListener;
  let listener: ((event: Event) => void) | undefined;
  window.addEventListener = ((_: string, added: never) => (listener = added)) as never;
  const { href } = globalThis.location;
  replace(globalThis, "location", { href, reload });
  replace(globalThis, "fetch", answer);
  new Function(guardText("It could not be loaded.", "Again"))();
  window.addEventListener = native;
  const script = Object.assign(document.createElement("script"), { type, src: ENTRY });
  listener?.({ target: script } as unknown as Event);
  await new Promise((resolve) => setTimeout(resolve, 5));
}

const status = (code: number) => async () => new Response("", { status: code });
const said = () => document.querySelector("[role=alert]")?.textContent;

test.each([404, 409])("a page whose entry script is answered with %i is loaded again", async (code) => {
  await missing(status(code));
  expect(reload).toHaveBeenCalledOnce();
  expect(said()).toBeUndefined();
});

test("once: then it says so, with a link that loads it again", async () => {
  await missing(status(404));
  await missing(status(404));
  expect(reload).toHaveBeenCalledOnce();
  expect(said()).toBe("It could not be loaded. Again");
  expect(document.querySelector("a")?.href).toBe("https://shop.example.com/cart/7?tab=2");
});

test.each([
  ["in an outage", status(503)],
  ["when offline", () => Promise.reject(new TypeError("Failed to fetch"))],
  ["where the script is there now", status(200)],
])("it is not loaded again %s", async (_, answer) => {
  await missing(answer);
  expect(reload).not.toHaveBeenCalled();
  expect(said()).toBeDefined();
});

test("it is not loaded again if the browser remembers nothing", async () => {
  replace(globalThis, "sessionStorage", undefined);
  await missing(status(404));
  expect(reload).not.toHaveBeenCalled();
  expect(said()).toBeDefined();
});

test("a script that is no module is not the application", async () => {
  await missing(status(404), "text/javascript");
  expect([reload.mock.calls.length, said()]).toEqual([0, undefined]);
});

test("the service worker is updated first", async () => {
  const update = vi.fn(async () => {});
  replace(navigator, "serviceWorker" as keyof Navigator, { getRegistration: async () => ({ update }) });
  await missing(status(404));
  expect([update.mock.calls.length, reload.mock.calls.length]).toEqual([1, 1]);
});
