import { describe, expect, test } from "vitest";
import { HERE, open } from "./page.js";

describe("versioned", () => {
  test.each([
    ["/api/photo", "/api/photo?dpl=1.4.2"],
    ["photo.jpg", "photo.jpg?dpl=1.4.2"],
    ["/api/photo?size=2", "/api/photo?size=2&dpl=1.4.2"],
    ["/api/photo#top?", "/api/photo?dpl=1.4.2#top?"],
    ["/api/photo?size=2#top", "/api/photo?size=2&dpl=1.4.2#top"],
    [`${HERE}/api/photo`, `${HERE}/api/photo?dpl=1.4.2`],
    ["//shop.example.com/x", "//shop.example.com/x?dpl=1.4.2"],
    ["wss://shop.example.com/chat", "wss://shop.example.com/chat?dpl=1.4.2"],
    ["https://api.example.com/x", "https://api.example.com/x?dpl=1.4.2"],
    ["wss://api.example.com/x", "wss://api.example.com/x?dpl=1.4.2"],
  ])("adds the version to %s", async (url, expected) => {
    const page = await open({ origins: ["https://api.example.com/"] });
    expect(page.versioned(url)).toBe(expected);
  });

  test.each([
    ["a stranger's", "https://elsewhere.example.com/x"],
    ["one of another port", "https://shop.example.com:8443/x"],
    ["one of another scheme", "http://shop.example.com/x"],
    ["one that says a version", "/api/photo?dpl=1.3.0"],
    ["one that says a version encoded", "/api/photo?%64pl=1.3.0"],
    ["a blob of the page", `blob:${HERE}/5a6b`],
    ["data", "data:text/plain,x"],
    ["a script", "javascript:void 0"],
    ["an address", "mailto:somebody@example.com"],
    ["no URL", "https://"],
  ])("leaves %s alone", async (_, url) => {
    const page = await open();
    expect(page.versioned(url)).toBe(url);
  });

  test("states the version in the query", async () => {
    const page = await open({ version: "1.4.2+7" });
    expect(page.versioned("/x")).toBe("/x?dpl=1.4.2%2B7");
  });

  test("takes the name of the parameter from the options", async () => {
    const page = await open({ query: "release" });
    expect(page.versioned("/x?dpl=1")).toBe("/x?dpl=1&release=1.4.2");
  });

  test("takes a URL object", async () => {
    const page = await open();
    expect(page.versioned(new URL("/x", HERE))).toBe(`${HERE}/x?dpl=1.4.2`);
  });
});
