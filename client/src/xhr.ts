import { carrierOf, header, version, versioned } from "./carrier.js";
import { notice } from "./update.js";

/** `XMLHttpRequest`, and with it axios, Angular's HttpClient and most generated clients. */
export function patchXhr(): void {
  const prototype = globalThis.XMLHttpRequest?.prototype;
  if (!prototype) return;
  const { open, send, setRequestHeader } = prototype;
  const carriers = new WeakMap<XMLHttpRequest, ReturnType<typeof carrierOf>>();

  prototype.open = function (this: XMLHttpRequest, method: string, url: string | URL, ...rest: unknown[]) {
    const carrier = carrierOf(url);
    // A third argument of undefined would make the request synchronous, so none is added.
    open.apply(this, [method, carrier === "query" ? versioned(url) : url, ...rest] as never);
    carriers.set(this, carrier);
  };

  prototype.setRequestHeader = function (name, value) {
    setRequestHeader.call(this, name, value);
    if (carriers.get(this) && name.toLowerCase() === header) carriers.set(this, "url");
  };

  prototype.send = function (body) {
    const carrier = carriers.get(this);
    if (carrier === "header") setRequestHeader.call(this, header, version);
    if (carrier) this.addEventListener("loadend", takeNotice, { once: true });
    send.call(this, body);
  };
}

function takeNotice(this: XMLHttpRequest): void {
  // Asking for a header that is not exposed to this origin would log an error to the console.
  const exposed = this.getAllResponseHeaders();
  notice((name) => (exposed.includes(name) ? this.getResponseHeader(name) : null));
}
