import { expect, test } from "vitest";
import { HERE, hint, open } from "./page.js";

const version = (request: Request | undefined) => request?.headers.get("x-bundle-version");

test("a request to the page's own origin says the version in a header", async () => {
  const page = await open();
  await fetch(new URL("/api/cart", HERE));
  expect(version(page.sent[0])).toBe("1.4.2");
  expect(page.sent[0]?.url).toBe(`${HERE}/api/cart`);
});

test("the options' headers stay, in every form in which they can be given", async () => {
  const page = await open();
  for (const headers of [{ accept: "text/csv" }, [["accept", "text/csv"]] as [string, string][], new Headers({ accept: "text/csv" })]) {
    await fetch(`${HERE}/api/cart`, { headers });
    const request = page.sent.pop();
    expect([request?.headers.get("accept"), version(request)]).toEqual(["text/csv", "1.4.2"]);
  }
});

test("what the caller passed is left as it was", async () => {
  await open();
  const headers = new Headers();
  const request = new Request(`${HERE}/api/cart`, { headers });
  await fetch(request);
  await fetch(`${HERE}/api/cart`, { headers });
  expect([version(request), [...headers].length]).toEqual([null, 0]);
});

test("a request object keeps its options, its referrer among them", async () => {
  const page = await open();
  await fetch(
    new Request(`${HERE}/api/cart`, {
      method: "PUT",
      body: "Lamp",
      cache: "no-store",
      credentials: "omit",
      redirect: "manual",
      referrerPolicy: "no-referrer",
      integrity: "sha256-x",
      keepalive: true,
      headers: { "content-type": "text/csv" },
    }),
  );
  const request = page.sent[0];
  expect(request).toMatchObject({
    method: "PUT",
    cache: "no-store",
    credentials: "omit",
    redirect: "manual",
    referrerPolicy: "no-referrer",
    integrity: "sha256-x",
    keepalive: true,
  });
  expect(request?.headers.get("content-type")).toBe("text/csv");
  expect(version(request)).toBe("1.4.2");
  expect(await request?.text()).toBe("Lamp");
});

test("a request's body is not read", async () => {
  const page = await open();
  let chunks = 0;
  const body = new ReadableStream({ pull: (stream) => stream.enqueue(new Uint8Array([(chunks += 1)])) }, { highWaterMark: 0 });
  await fetch(new Request(`${HERE}/api/cart`, { method: "POST", body, duplex: "half" } as RequestInit));
  expect(page.sent[0]?.bodyUsed).toBe(false);
  expect(chunks, "what a copy of a request has ready").toBeLessThanOrEqual(1);
});

test("options next to a request object have their usual effect", async () => {
  const page = await open();
  await fetch(new Request(`${HERE}/api/cart`, { method: "PUT" }), { method: "DELETE" });
  expect([page.sent[0]?.method, version(page.sent[0])]).toEqual(["DELETE", "1.4.2"]);
});

test("a version that is already there is kept", async () => {
  const page = await open();
  await fetch(`${HERE}/api/cart`, { headers: { "X-Bundle-Version": "1.3.0" } });
  await fetch(`${HERE}/api/cart?dpl=1.3.0`);
  expect(page.sent.map(version)).toEqual(["1.3.0", null]);
});

test("a listed origin gets the version in the query, which needs no preflight", async () => {
  const page = await open({ origins: ["https://api.example.com"] });
  await fetch("https://api.example.com/cart?page=2");
  await fetch(new Request("https://api.example.com/cart", { method: "POST", body: "Lamp" }));
  expect(page.sent.map((request) => request.url)).toEqual([
    "https://api.example.com/cart?page=2&dpl=1.4.2",
    "https://api.example.com/cart?dpl=1.4.2",
  ]);
  expect(page.sent.map(version)).toEqual([null, null]);
  expect(await page.sent[1]?.text()).toBe("Lamp");
});

test("a request to another origin carries no version and is passed on unchanged", async () => {
  const page = await open({ origins: ["https://api.example.com"] });
  page.answers(() => hint("required"));
  const heard: string[] = [];
  page.onUpdate((update) => heard.push(update));
  const request = new Request("https://elsewhere.example.com/x");
  await fetch(request);
  expect(page.sent[0]).toBe(request);
  expect([version(request), request.url, heard]).toEqual([null, "https://elsewhere.example.com/x", []]);
});

test("a request without CORS can have no header, and says the version in the query", async () => {
  const page = await open();
  await fetch(`${HERE}/api/cart`, { mode: "no-cors" });
  expect(page.sent[0]?.url).toBe(`${HERE}/api/cart?dpl=1.4.2`);
});

test("an invalid request is rejected, as without the client", async () => {
  await open();
  await expect(fetch(`${HERE}/api/cart`, { method: "GET", body: "Lamp" })).rejects.toThrow(TypeError);
});

test("the answer is passed on unchanged", async () => {
  const page = await open();
  const answer = hint("required", 409);
  page.answers(() => answer);
  expect(await fetch(`${HERE}/api/cart`)).toBe(answer);
  expect(answer.bodyUsed).toBe(false);
});

test("Request stays the same class for other code", async () => {
  const native = globalThis.Request;
  await open({ origins: ["https://api.example.com"] });
  class Own extends Request {}
  const own = new Own("https://api.example.com/cart");
  expect(own).toBeInstanceOf(Own);
  expect(own).toBeInstanceOf(native);
  expect(new native(HERE)).toBeInstanceOf(Request);
  expect(own.url).toBe("https://api.example.com/cart?dpl=1.4.2");
});
