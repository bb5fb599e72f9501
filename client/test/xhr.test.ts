import { beforeEach, expect, test, vi } from "vitest";
import { open, replace, settled } from "./page.js";

const native = { open: vi.fn(), send: vi.fn(), setRequestHeader: vi.fn() };

beforeEach(() => {
  for (const [name, stub] of Object.entries(native)) {
    stub.mockClear();
    replace(XMLHttpRequest.prototype, name as keyof typeof native, stub);
  }
});

function send(url: string, headers: Record<string, string> = {}): XMLHttpRequest {
  const request = new XMLHttpRequest();
  request.open("POST", url);
  for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
  request.send("Lamp");
  return request;
}

function answer(request: XMLHttpRequest, headers: Record<string, string>): void {
  request.getAllResponseHeaders = () => Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  request.getResponseHeader = (name) => headers[name] ?? null;
  request.dispatchEvent(new Event("loadend"));
}

test("a request to the page's own origin says the version in a header", async () => {
  await open();
  send("/api/cart", { accept: "text/csv" });
  expect(native.open.mock.calls).toEqual([["POST", "/api/cart"]]);
  expect(native.setRequestHeader.mock.calls).toEqual([["accept", "text/csv"], ["x-bundle-version", "1.4.2"]]);
  expect(native.send.mock.calls).toEqual([["Lamp"]]);
});

test("open gets as many arguments as the caller passed", async () => {
  await open();
  new XMLHttpRequest().open("GET", "/api/cart", false, "ada", "secret");
  expect(native.open).toHaveBeenCalledWith("GET", "/api/cart", false, "ada", "secret");
});

test("a version that is already there is kept", async () => {
  await open();
  send("/api/cart", { "X-Bundle-Version": "1.3.0" });
  send("/api/cart?dpl=1.3.0");
  expect(native.setRequestHeader.mock.calls).toEqual([["X-Bundle-Version", "1.3.0"]]);
});

test("a request that is opened again says the version again", async () => {
  await open();
  const request = send("/api/cart");
  request.open("GET", "/api/cart");
  request.send();
  expect(native.setRequestHeader).toHaveBeenCalledTimes(2);
});

test("a listed origin gets the version in the query", async () => {
  await open({ origins: ["https://api.example.com"] });
  send("https://api.example.com/cart");
  expect(native.open).toHaveBeenCalledWith("POST", "https://api.example.com/cart?dpl=1.4.2");
  expect(native.setRequestHeader).not.toHaveBeenCalled();
});

test("another origin gets no version, and its hints are ignored", async () => {
  const page = await open();
  const heard = vi.fn();
  page.onUpdate(heard);
  answer(send("https://elsewhere.example.com/x"), { "x-client-update": "required" });
  await settled();
  expect(native.open).toHaveBeenCalledWith("POST", "https://elsewhere.example.com/x");
  expect(native.setRequestHeader).not.toHaveBeenCalled();
  expect(heard).not.toHaveBeenCalled();
});

test("an answer's hint is noticed", async () => {
  const page = await open();
  const heard = vi.fn();
  page.onUpdate(heard);
  answer(send("/api/cart"), { "x-client-update": "available" });
  await settled();
  expect(heard.mock.calls).toEqual([["available"]]);
});

test("a header that is not exposed is not asked for", async () => {
  await open({ origins: ["https://api.example.com"] });
  const request = send("https://api.example.com/cart");
  request.getAllResponseHeaders = () => "content-type: application/json\r\n";
  request.getResponseHeader = vi.fn();
  request.dispatchEvent(new Event("loadend"));
  expect(request.getResponseHeader).not.toHaveBeenCalled();
});
