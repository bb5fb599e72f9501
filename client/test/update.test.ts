import { expect, test, vi } from "vitest";
import { HERE, hint, open, settled } from "./page.js";

async function call(): Promise<void> {
  await fetch(`${HERE}/api/cart`);
  await settled();
}

test("a listener is told about each step once: available, then required", async () => {
  const page = await open();
  const heard = vi.fn();
  page.onUpdate(heard);
  await call();
  expect(heard).not.toHaveBeenCalled();
  for (const update of ["available", "available", "required", "available"]) {
    page.answers(() => hint(update));
    await call();
  }
  expect(heard.mock.calls).toEqual([["available"], ["required"]]);
});

test("a late listener is told what is known", async () => {
  const page = await open();
  page.answers(() => hint("required", 409));
  await call();
  const heard = vi.fn();
  page.onUpdate(heard);
  await settled();
  expect(heard.mock.calls).toEqual([["required"]]);
});

test("a removed listener is told nothing", async () => {
  const page = await open();
  const heard = vi.fn();
  page.onUpdate(heard)();
  page.answers(() => hint("required", 409));
  await call();
  expect(heard).not.toHaveBeenCalled();
});

test("only the header counts: no status, no version, no other value", async () => {
  const page = await open();
  const heard = vi.fn();
  page.onUpdate(heard);
  page.answers(() => new Response("{}", { status: 409, headers: { "x-client-current": "2.0.0" } }));
  await call();
  page.answers(() => hint("perhaps"));
  await call();
  page.answers(() => Promise.reject(new TypeError("Failed to fetch")));
  await expect(fetch(`${HERE}/api/cart`)).rejects.toThrow("Failed to fetch");
  await settled();
  expect(heard).not.toHaveBeenCalled();
});

test.each([
  ["a Response", hint("required", 409)],
  ["an error of ky", Object.assign(new Error(), { response: hint("required", 409) })],
  ["an error of axios", Object.assign(new Error(), { response: { headers: { "x-client-update": "required" } } })],
  ["an error of Angular", { headers: new Headers({ "x-client-update": "required" }) }],
  ["an error with the answer as its cause", new Error("409", { cause: hint("required", 409) })],
  ["an error with such an error as its cause", new Error("409", { cause: { response: hint("required", 409) } })],
])("%s is known to be outdated", async (_, thing) => {
  const page = await open();
  expect(page.isOutdated(thing)).toBe(true);
});

test.each([
  ["an answer that tells of an update", hint("available")],
  ["an answer of the application", new Response("{}", { status: 409 })],
  ["being offline", new TypeError("Failed to fetch")],
  ["a text", "required"],
  ["nothing", undefined],
  ["null", null],
])("%s is not outdated", async (_, thing) => {
  const page = await open();
  expect(page.isOutdated(thing)).toBe(false);
});
