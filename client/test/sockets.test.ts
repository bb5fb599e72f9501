import { beforeEach, expect, test, vi } from "vitest";
import { HERE, hint, open, replace, settled } from "./page.js";

class FakeSocket extends EventTarget {
  static readonly CLOSED = 2;
  readonly CLOSED = 2;
  readyState = 0;
  given: unknown[];
  constructor(...given: unknown[]) {
    super();
    this.given = given;
  }
}

beforeEach(() => {
  replace(globalThis, "WebSocket", class extends FakeSocket {});
  replace(globalThis, "EventSource", class extends FakeSocket {});
});

const made = (socket: unknown) => socket as FakeSocket;

test("a WebSocket says the version in its query and keeps its protocols", async () => {
  await open();
  expect(made(new WebSocket("wss://shop.example.com/chat", ["v2"])).given).toEqual([
    "wss://shop.example.com/chat?dpl=1.4.2",
    ["v2"],
  ]);
  expect(made(new WebSocket("/chat")).given).toEqual(["/chat?dpl=1.4.2"]);
});

test("an EventSource says the version in its query and keeps its options", async () => {
  await open();
  expect(made(new EventSource("/api/prices?of=lamp", { withCredentials: true })).given).toEqual([
    "/api/prices?of=lamp&dpl=1.4.2",
    { withCredentials: true },
  ]);
});

test("a socket to another origin is left alone", async () => {
  await open();
  expect(made(new WebSocket("wss://elsewhere.example.com/chat")).given).toEqual(["wss://elsewhere.example.com/chat"]);
});

test("they stay the same classes for other code", async () => {
  const native = WebSocket;
  await open();
  class Own extends WebSocket {}
  expect(new Own("/chat")).toBeInstanceOf(Own);
  expect(new Own("/chat")).toBeInstanceOf(native);
  expect(WebSocket.CLOSED).toBe(2);
});

test("a WebSocket that closes before it opened makes the page look for an update", async () => {
  const page = await open();
  page.answers(() => hint("required", 409));
  const heard = vi.fn();
  page.onUpdate(heard);
  new WebSocket("/chat").dispatchEvent(new Event("close"));
  await settled();
  expect(page.sent.map(({ method, url }) => [method, url])).toEqual([["HEAD", `${HERE}/cart/7`]]);
  expect(heard.mock.calls).toEqual([["required"]]);
});

test("a WebSocket that was open may close", async () => {
  const page = await open();
  const socket = new WebSocket("/chat");
  socket.dispatchEvent(new Event("open"));
  socket.dispatchEvent(new Event("close"));
  expect(page.sent).toEqual([]);
});

test("an EventSource that ends makes the page look for an update; one that tries again does not", async () => {
  const page = await open();
  const source = made(new EventSource("/api/prices"));
  source.dispatchEvent(new Event("error"));
  expect(page.sent).toEqual([]);
  source.readyState = 2;
  source.dispatchEvent(new Event("error"));
  expect(page.sent).toHaveLength(1);
});

test("sockets that are refused in a storm make one probe in ten seconds, and none once the update is required", async () => {
  vi.useFakeTimers();
  const page = await open();
  const refuse = () => new WebSocket("/chat").dispatchEvent(new Event("close"));
  for (let time = 0; time < 100; time += 1) refuse();
  expect(page.sent).toHaveLength(1);
  vi.advanceTimersByTime(10_000);
  page.answers(() => hint("required", 409));
  refuse();
  await settled();
  expect(page.sent).toHaveLength(2);
  vi.advanceTimersByTime(10_000);
  refuse();
  expect(page.sent).toHaveLength(2);
});
