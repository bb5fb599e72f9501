/** A page in which each test installs the client again, with a network that the test controls. */
import { afterEach, vi } from "vitest";
import type * as Client from "../src/index.js";
import type { Options } from "../src/index.js";

export const HERE = "https://shop.example.com";

type Answering = (request: Request) => Response | Promise<Response>;

export interface Page extends Omit<typeof Client, "install"> {
  /** The requests that `fetch` would have sent. */
  sent: Request[];
  /** Says how the next requests are answered. */
  answers(answering: Answering): void;
}

/** In Node there is no page that a URL could be relative to. */
class PageRequest extends Request {
  constructor(input: RequestInfo | URL, init?: RequestInit) {
    super(input instanceof Request ? input : new URL(input, globalThis.document?.baseURI ?? HERE), init);
  }
}

const undo: (() => void)[] = [];

afterEach(() => {
  undo.splice(0).reverse().forEach((step) => step());
  document.body.replaceChildren();
  sessionStorage.clear();
  history.replaceState(null, "", "/cart/7?tab=2");
  vi.useRealTimers();
});

/** Installs the client in the page. */
export async function open(options: Options = {}): Promise<Page> {
  keep(globalThis, "fetch", "Request", "WebSocket", "EventSource");
  keep(XMLHttpRequest.prototype, "open", "send", "setRequestHeader");
  keep(HTMLFormElement.prototype, "submit");
  keep(Navigator.prototype, "sendBeacon");
  forgetListeners();
  const sent: Request[] = [];
  let answering: Answering = () => new Response("{}");
  globalThis.Request = PageRequest;
  globalThis.fetch = async (input, init) => {
    const request = input instanceof Request ? input : new PageRequest(input, init);
    sent.push(request);
    return answering(request);
  };
  vi.resetModules();
  const { install, ...client } = await import("../src/index.js");
  install({ version: "1.4.2", ...options });
  return { ...client, sent, answers: (next) => void (answering = next) };
}

/** An answer to a stale client. */
export function hint(update: string, status = 200, current = "2.0.0"): Response {
  return new Response("{}", { status, headers: { "x-client-update": update, "x-client-current": current } });
}

/** Replaces a global value until the test ends. */
export function replace<T extends object, K extends keyof T>(owner: T, name: K, value: unknown): void {
  const before = Object.getOwnPropertyDescriptor(owner, name);
  Object.defineProperty(owner, name, { value, configurable: true, writable: true });
  undo.push(() => (before ? Object.defineProperty(owner, name, before) : Reflect.deleteProperty(owner, name)));
}

/** Waits until everything that is already queued has run. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

function keep(owner: object, ...names: string[]): void {
  for (const name of names) {
    const before = Object.getOwnPropertyDescriptor(owner, name);
    undo.push(() => (before ? Object.defineProperty(owner, name, before) : Reflect.deleteProperty(owner, name)));
  }
}

function forgetListeners(): void {
  const add = window.addEventListener;
  window.addEventListener = (...listener: Parameters<typeof add>) => {
    add.apply(window, listener);
    undo.push(() => window.removeEventListener(...listener));
  };
  undo.push(() => void (window.addEventListener = add));
}
