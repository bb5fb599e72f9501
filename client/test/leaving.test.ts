import { beforeEach, describe, expect, test, vi } from "vitest";
import { HERE, hint, open, replace, settled, type Page } from "./page.js";

/** The URLs that were loaded. */
let loads: string[] = [];

beforeEach(() => {
  loads = [];
  const { location } = globalThis;
  const observed = {
    get href() {
      return location.href;
    },
    origin: location.origin,
    get pathname() {
      return location.pathname;
    },
    assign: (url: string) => loads.push(url.startsWith(HERE) ? url : `away: ${url}`),
    reload: () => loads.push(location.href),
  };
  replace(globalThis, "location", observed);
});

async function outdated(update = "required"): Promise<Page> {
  const page = await open();
  page.answers(() => hint(update, 409));
  await fetch(`${HERE}/api/cart`);
  await settled();
  return page;
}

/** Clicks as a person does; returns whether the click was left to other listeners. */
function click(html: string, options: MouseEventInit = {}): boolean {
  document.body.insertAdjacentHTML("beforeend", html);
  const event = new MouseEvent("click", { bubbles: true, cancelable: true, composed: true, ...options });
  // jsdom cannot follow a link.
  let left = true;
  addEventListener("click", (last) => {
    left = !last.defaultPrevented;
    last.preventDefault();
  }, { once: true });
  document.body.lastElementChild?.dispatchEvent(event);
  return left;
}

function type(html: string, value: string): HTMLInputElement {
  document.body.insertAdjacentHTML("beforeend", html);
  const field = document.body.lastElementChild as HTMLInputElement;
  if ("value" in field) field.value = value;
  else (field as HTMLElement).textContent = value;
  field.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
  return field;
}

describe("a page whose release is gone", () => {
  test("leaves at the next link, to where the link leads", async () => {
    await outdated();
    expect(click('<a href="/orders?page=2#last">Orders</a>')).toBe(false);
    await settled();
    expect(loads).toEqual([`${HERE}/orders?page=2#last`]);
  });

  test("leaves once for each pair of own and wanted version, and ignores other clicks", async () => {
    await outdated();
    click('<a href="/orders">Orders</a>');
    expect(click('<a href="/account">Account</a>')).toBe(true);
    await settled();
    expect(loads).toEqual([`${HERE}/orders`]);
  });

  test("ignores clicks after a load brought the old page back", async () => {
    await outdated();
    click('<a href="/orders">Orders</a>');
    await outdated();
    expect(click('<a href="/account">Account</a>')).toBe(true);
  });

  test("leaves again when another release is wanted", async () => {
    const page = await outdated();
    click('<a href="/orders">Orders</a>');
    page.answers(() => hint("required", 409, "2.1.0"));
    await fetch(`${HERE}/api/cart`);
    expect(click('<a href="/account">Account</a>')).toBe(false);
  });

  test("does not leave by itself if the browser remembers nothing", async () => {
    await outdated();
    replace(globalThis, "sessionStorage", undefined);
    expect(click('<a href="/orders">Orders</a>')).toBe(true);
  });

  test.each([
    ["a field", '<input value="">'],
    ["a text area", "<textarea></textarea>"],
    ["an editor", "<div contenteditable></div>"],
  ])("stays while it shows what was typed into %s", async (_, html) => {
    await outdated();
    const field = type(html, "To my neighbour");
    expect(click('<a href="/orders">Orders</a>')).toBe(true);
    field.remove();
    expect(click('<a href="/orders">Orders</a>')).toBe(false);
  });

  test("leaves when a field was emptied", async () => {
    await outdated();
    type("<input>", "");
    expect(click('<a href="/orders">Orders</a>')).toBe(false);
  });

  test("stays while it is offline", async () => {
    await outdated();
    replace(navigator, "onLine", false);
    expect(click('<a href="/orders">Orders</a>')).toBe(true);
  });

  test.each([
    ["a link to another origin", '<a href="https://elsewhere.example.com/">x</a>', {}],
    ["a link to another tab", '<a href="/orders" target="_blank">x</a>', {}],
    ["a download", '<a href="/api/export" download>x</a>', {}],
    ["a link within the page", '<a href="#terms">x</a>', {}],
    ["an anchor without a link", "<a>x</a>", {}],
    ["a click that opens a tab", '<a href="/orders">x</a>', { ctrlKey: true }],
    ["a click with the middle button", '<a href="/orders">x</a>', { button: 1 }],
    ["a button", "<button>x</button>", {}],
  ])("does not leave by %s", async (_, html, options) => {
    await outdated();
    expect(click(html, options)).toBe(true);
    await settled();
    expect(loads).toEqual([]);
  });

  test("leaves at a link of a router that has its routes behind the #", async () => {
    await outdated();
    expect(click('<a href="#/orders">Orders</a>')).toBe(false);
    await settled();
    expect(loads).toEqual([`${HERE}/cart/7?tab=2#/orders`]);
  });

  test("does nothing because a call failed", async () => {
    await outdated();
    expect(loads).toEqual([]);
  });
});

test.each([undefined, "available"])("a page whose release is served does not leave by itself (%s)", async (update) => {
  if (update) await outdated(update);
  else await open();
  expect(click('<a href="/orders">Orders</a>')).toBe(true);
});

describe("recover", () => {
  const missing = new TypeError("Failed to fetch dynamically imported module: /assets/v-1.4.2/orders.js");

  test("goes where the click meant to go, with query and fragment", async () => {
    const page = await open();
    page.answers(() => hint("required", 409));
    click('<a href="/orders?page=2#last">Orders</a>');
    expect(await page.recover(missing)).toBe(true);
    expect(loads).toEqual([`${HERE}/orders?page=2#last`]);
  });

  test("goes where the router already is", async () => {
    const page = await open();
    page.answers(() => hint("required", 409));
    click('<a href="/orders">Orders</a>');
    history.pushState(null, "", "/orders/1");
    expect(await page.recover(missing)).toBe(true);
    expect(loads).toEqual([`${HERE}/orders/1`]);
  });

  test("forgets a click after ten seconds", async () => {
    vi.useFakeTimers();
    const page = await open();
    page.answers(() => hint("required", 409));
    click('<a href="/orders">Orders</a>');
    vi.advanceTimersByTime(10_000);
    await page.recover(missing);
    expect(loads).toEqual([`${HERE}/cart/7?tab=2`]);
  });

  test("believes an answer that says so, and sends no probe", async () => {
    const page = await open();
    expect(await page.recover(hint("required", 409))).toBe(true);
    expect(page.sent).toEqual([]);
  });

  test.each([
    ["when a part is missing though nothing is newer", () => new Response("")],
    ["in an outage", () => new Response("", { status: 503 })],
    ["when offline", () => Promise.reject(new TypeError("Failed to fetch"))],
  ])("stays %s", async (_, answering) => {
    const page = await open();
    page.answers(answering);
    expect(await page.recover(missing)).toBe(false);
    expect(loads).toEqual([]);
  });

  test("stays when offline, though an update was required before", async () => {
    const page = await outdated();
    page.answers(() => Promise.reject(new TypeError("Failed to fetch")));
    expect(await page.recover(missing)).toBe(false);
  });

  test("takes an available update as the reason for a missing part, but for no other error", async () => {
    const page = await open();
    page.answers(() => hint("available"));
    expect(await page.recover(new TypeError("x is undefined"))).toBe(false);
    expect(await page.recover(missing)).toBe(true);
  });

  test("leaves once", async () => {
    const page = await open();
    page.answers(() => hint("required", 409));
    expect([await page.recover(missing), await page.recover(missing)]).toEqual([true, false]);
    expect(loads).toHaveLength(1);
  });

  test("tells other callers that it is leaving", async () => {
    const page = await open();
    page.answers(() => hint("required", 409));
    expect(await Promise.all([page.recover(missing), page.recover(missing)])).toEqual([true, true]);
    expect(loads).toHaveLength(1);
  });

  test("stays while the page shows what was typed", async () => {
    const page = await open();
    page.answers(() => hint("required", 409));
    type("<input>", "To my neighbour");
    expect(await page.recover(missing)).toBe(false);
  });

  test("stays in the background", async () => {
    const page = await open();
    page.answers(() => hint("required", 409));
    replace(document, "visibilityState", "hidden");
    expect(await page.recover(missing)).toBe(false);
  });

  test("asks once a second at most", async () => {
    const page = await open();
    await Promise.all([page.recover(missing), page.recover(missing), page.recover(missing)]);
    expect(page.sent).toHaveLength(1);
  });
});

describe("reload", () => {
  test("loads the page's own URL", async () => {
    const page = await open();
    await page.reload();
    expect(loads).toEqual([`${HERE}/cart/7?tab=2`]);
  });

  test("loads the page's own URL where it is a button's listener", async () => {
    const page = await open();
    await (page.reload as (event: unknown) => Promise<void>)(new MouseEvent("click"));
    expect(loads).toEqual([`${HERE}/cart/7?tab=2`]);
  });

  test("goes to the target, as often as it is asked", async () => {
    const page = await outdated();
    await page.reload("/orders");
    await page.reload("/orders");
    expect(loads).toEqual([`${HERE}/orders`, `${HERE}/orders`]);
  });

  test("stays at its own URL until the browser shows another page: a download shows none", async () => {
    const page = await open();
    const own = location.href;
    await page.reload("/orders.csv");
    expect([location.href, loads]).toEqual([own, [`${HERE}/orders.csv`]]);
  });

  test("goes to another origin", async () => {
    const page = await open();
    await page.reload("https://elsewhere.example.com/");
    expect(loads).toEqual(["away: https://elsewhere.example.com/"]);
  });

  test("loads the page for a target within it", async () => {
    const page = await open();
    await page.reload("#terms");
    expect(loads).toEqual([`${HERE}/cart/7?tab=2#terms`]);
  });
});

describe("reload with a service worker", () => {
  class FakeWorker extends EventTarget {
    postMessage = vi.fn();
    constructor(public state: string) {
      super();
    }
    becomes(state: string): void {
      this.state = state;
      this.dispatchEvent(new Event("statechange"));
    }
  }

  function register(registration: object | undefined) {
    const unregister = vi.fn();
    const update = vi.fn(async () => {});
    replace(navigator, "serviceWorker" as keyof Navigator, {
      controller: {},
      getRegistration: async () => registration && { update, unregister, ...registration },
    });
    return { update, unregister };
  }

  test("shows at once where it goes: an application that loads the page when its worker changes goes there too", async () => {
    const page = await open();
    register({});
    void page.reload("/orders");
    expect([location.href, loads]).toEqual([`${HERE}/orders`, []]);
  });

  test("goes at once if there is no newer one", async () => {
    const page = await open();
    const { update } = register({});
    await page.reload("/orders");
    expect(update).toHaveBeenCalledOnce();
    expect(loads).toEqual([`${HERE}/orders`]);
  });

  test("waits until the new one has taken over, and never unregisters it", async () => {
    const page = await open();
    const worker = new FakeWorker("installing");
    const { unregister } = register({ installing: worker });
    const left = page.reload("/orders");
    await settled();
    worker.becomes("installed");
    expect(worker.postMessage.mock.calls).toEqual([[{ type: "SKIP_WAITING" }]]);
    worker.becomes("activating");
    await settled();
    expect(loads).toEqual([]);
    worker.becomes("activated");
    await left;
    expect(loads).toEqual([`${HERE}/orders`]);
    expect(unregister).not.toHaveBeenCalled();
  });

  test("tells a waiting worker to take over", async () => {
    const page = await open();
    const worker = new FakeWorker("installed");
    register({ waiting: worker });
    void page.reload("/orders");
    await settled();
    expect(worker.postMessage).toHaveBeenCalledOnce();
  });

  test("goes when the new one cannot be installed", async () => {
    const page = await open();
    const worker = new FakeWorker("installing");
    register({ installing: worker });
    const left = page.reload("/orders");
    await settled();
    worker.becomes("redundant");
    await left;
    expect(loads).toHaveLength(1);
  });

  test("goes when it cannot be asked for", async () => {
    const page = await open();
    register({ update: () => Promise.reject(new TypeError("Failed to fetch")) });
    await page.reload("/orders");
    expect(loads).toHaveLength(1);
  });

  test("waits ten seconds at most", async () => {
    vi.useFakeTimers();
    const page = await open();
    register({ update: () => new Promise(() => {}) });
    const left = page.reload("/orders");
    await vi.advanceTimersByTimeAsync(9_999);
    expect(loads).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    await left;
    expect(loads).toHaveLength(1);
  });
});
