import { expect, test, vi } from "vitest";
import { HERE, open, replace } from "./page.js";

test.each([undefined, "", "undefined", "null", "NaN", "None", "unknown", "true", "FALSE", "-1", "a b", "v".repeat(65)])(
  "with the version %s it sends nothing and warns",
  async (version) => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const page = await open({ version });
    await fetch(`${HERE}/api/cart`);
    expect(page.sent[0]?.headers.has("x-bundle-version")).toBe(false);
    expect(page.versioned("/x")).toBe("/x");
    expect(warn).toHaveBeenCalledOnce();
    warn.mockRestore();
  },
);

test.each(["1.4.2", "9f86d08", "7", "1.4.2-rc.1+build_5", "nullable", "v".repeat(64)])("%s is a version", async (version) => {
  const page = await open({ version });
  await fetch(`${HERE}/api/cart`);
  expect(page.sent[0]?.headers.get("x-bundle-version")).toBe(version);
});

test("a second time changes the options and patches nothing again", async () => {
  const page = await open();
  const patched = globalThis.fetch;
  const { install } = await import("../src/index.js");
  install({ version: "1.4.3", header: "X-Deployment-Id" });
  expect(globalThis.fetch).toBe(patched);
  await fetch(`${HERE}/api/cart`);
  expect([...(page.sent[0]?.headers ?? [])]).toEqual([["x-deployment-id", "1.4.3"]]);
});

test("on a server it patches nothing, and versioned returns what the page would render", async () => {
  vi.resetModules();
  replace(globalThis, "location", undefined);
  replace(globalThis, "document", undefined);
  const native = globalThis.fetch;
  const { install, versioned } = await import("../src/index.js");
  install({ version: "1.4.2" });
  expect(globalThis.fetch).toBe(native);
  expect(versioned("/api/photo")).toBe("/api/photo?dpl=1.4.2");
  expect(versioned("https://elsewhere.example.com/x")).toBe("https://elsewhere.example.com/x");
});

test("auto takes the version that the build wrote into the page", async () => {
  const page = await open({ version: "1.4.1", header: "x-other" });
  vi.resetModules();
  document.head.innerHTML = '<meta name="app-version" content="1.4.2">';
  await import("../src/auto.js");
  await fetch(`${HERE}/api/cart`);
  document.head.innerHTML = "";
  expect(page.sent[0]?.headers.get("x-bundle-version")).toBe("1.4.2");
});

test("auto is silent on a development server", async () => {
  const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
  vi.stubGlobal("__SKEW_GUARD_VERSION__", "");
  vi.resetModules();
  const native = globalThis.fetch;
  await import("../src/auto.js");
  expect([globalThis.fetch === native, warn.mock.calls.length]).toEqual([true, 0]);
  vi.unstubAllGlobals();
  warn.mockRestore();
});

test.each([
  ["its directory", "https://shop.example.com/assets/v-1.4.2/worker-4f2a.js"],
  ["its query", "https://shop.example.com/_next/worker.js?dpl=1.4.2"],
])("a worker takes the version from %s", async (_, href) => {
  const page = await open();
  vi.resetModules();
  replace(globalThis, "document", undefined);
  replace(globalThis, "location", new URL(href));
  await import("../src/worker.js");
  await fetch(`${HERE}/api/cart`);
  expect(page.sent[0]?.headers.get("x-bundle-version")).toBe("1.4.2");
});
