import { expect, test } from "vitest";
import { HERE, open, replace } from "./page.js";

const restored = Object.assign(new Event("pageshow"), { persisted: true });
const loaded = Object.assign(new Event("pageshow"), { persisted: false });
const refused = (message: string) => Object.assign(new Event("unhandledrejection"), { reason: new TypeError(message) });

test.each([
  ["comes back online", () => window.dispatchEvent(new Event("online"))],
  ["becomes visible", () => document.dispatchEvent(new Event("visibilitychange", { bubbles: true }))],
  ["is restored from the back/forward cache", () => window.dispatchEvent(restored)],
  ["misses a part of a Vite application", () => window.dispatchEvent(new Event("vite:preloadError", { cancelable: true }))],
  ["misses a module in Chromium", () => window.dispatchEvent(refused("Failed to fetch dynamically imported module: /x.js"))],
  ["misses a module in Firefox", () => window.dispatchEvent(refused("error loading dynamically imported module: /x.js"))],
  ["misses a module in Safari", () => window.dispatchEvent(refused("Importing a module script failed."))],
  ["misses a chunk of webpack", () => window.dispatchEvent(refused("Loading chunk 7 failed."))],
  ["misses a script", () => document.body.appendChild(document.createElement("script")).dispatchEvent(new Event("error"))],
  ["misses a style sheet", () => document.body.appendChild(document.createElement("link")).dispatchEvent(new Event("error"))],
])("a page that %s looks for an update by the head of its own path", async (_, happens) => {
  const page = await open();
  happens();
  expect(page.sent).toHaveLength(1);
  const [request] = page.sent;
  expect([request?.method, request?.url, request?.cache]).toEqual(["HEAD", `${HERE}/cart/7`, "no-store"]);
  expect(request?.headers.get("x-bundle-version")).toBe("1.4.2");
});

test.each([
  ["is shown after its load", () => window.dispatchEvent(loaded)],
  ["has an error in a script", () => window.dispatchEvent(new ErrorEvent("error", { message: "x is undefined" }))],
  ["misses an image", () => document.body.appendChild(document.createElement("img")).dispatchEvent(new Event("error"))],
  ["misses an answer", () => window.dispatchEvent(refused("Failed to fetch"))],
])("a page that %s does not", async (_, happens) => {
  const page = await open();
  happens();
  expect(page.sent).toEqual([]);
});

test("a hidden page does not", async () => {
  const page = await open();
  replace(document, "visibilityState", "hidden");
  window.dispatchEvent(new Event("online"));
  expect(page.sent).toEqual([]);
});
