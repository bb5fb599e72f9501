import { expect, test, vi } from "vitest";
import { open, replace } from "./page.js";

test("a beacon says the version in its query", async () => {
  const native = vi.fn(() => true);
  replace(Navigator.prototype, "sendBeacon", native);
  await open();
  expect(navigator.sendBeacon("/api/seen", "Lamp")).toBe(true);
  navigator.sendBeacon("https://elsewhere.example.com/seen");
  expect(native.mock.calls).toEqual([["/api/seen?dpl=1.4.2", "Lamp"], ["https://elsewhere.example.com/seen"]]);
  expect(native.mock.contexts[0]).toBe(navigator);
});
