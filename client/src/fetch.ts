import { carrierOf, header, version, versioned } from "./carrier.js";
import { onConstruct } from "./construct.js";
import { notice } from "./update.js";

/** `fetch`, and the `Request`s that are made for it beforehand. */
export function patchFetch(): void {
  onConstruct("Request", (input, options) => (isRequest(input) ? input : addressed(input as string | URL, options)));
  const native = globalThis.fetch.bind(globalThis);
  globalThis.fetch = async (input, init) => {
    if (!carrierOf(isRequest(input) ? input.url : input)) return native(input, init);
    const response = await native(stamped(new Request(input, init)));
    notice((name) => response.headers.get(name));
    return response;
  };
}

/**
 * For the page's own origin a header is right: the URL stays as it is, for caches and for whoever reads it. Another
 * origin would get a preflight because of the header, and a request without CORS cannot have one.
 */
function addressed(url: string | URL, options: unknown): string | URL {
  const withoutCors = (options as RequestInit | undefined)?.mode === "no-cors";
  return withoutCors || carrierOf(url) === "query" ? versioned(url) : url;
}

/**
 * The request is a copy that `fetch` would make of it anyway, with body and options. If the header
 * were passed as an option next to the old request, the referrer would be lost.
 */
function stamped(request: Request): Request {
  const { headers, url } = request;
  if (carrierOf(url) === "header" && !headers.has(header)) headers.set(header, version);
  return request;
}

/** Recognised by its members, because it may come from another frame. */
function isRequest(input: unknown): input is Request {
  return typeof input === "object" && input !== null && "url" in input;
}
