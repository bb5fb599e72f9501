/** Decides which requests are ours and how they carry the version; nothing else does. */

/** The options of `install`. */
export interface Options {
  /** The version that the page was built from; by default what the build wrote into it. */
  version?: string | undefined;
  /** The request header for the page's own origin; `x-bundle-version` by default. */
  header?: string | undefined;
  /** The query parameter for what cannot have a header, and for other origins; `dpl` by default. */
  query?: string | undefined;
  /** Other origins that serve this application, such as `https://api.example.com`. */
  origins?: readonly string[] | undefined;
}

/** A server that renders pages has no origin: relative URLs are the page's. */
const here = globalThis.location ?? new URL("http://server.invalid");

export let version = "";
export let header: string;
let query: string;
let origins: string[];

/** Applies the options. */
export function configure(own: string, options: Options): void {
  version = own;
  header = (options.header ?? "x-bundle-version").toLowerCase();
  query = options.query ?? "dpl";
  origins = (options.origins ?? []).map((origin) => originOf(new URL(origin)));
}

/**
 * How a request to the URL carries the version: in a header to the page's own origin, in the query to a listed one, and
 * not by us if the URL already says one. Other origins get none.
 */
export function carrierOf(url: string | URL): "header" | "query" | "url" | undefined {
  try {
    const target = new URL(url, globalThis.document?.baseURI ?? here.href);
    const listed = version && origins.includes(originOf(target));
    // A `blob:` URL has the origin of its page, but no host that is asked for it.
    if (!version || !target.host || !(listed || originOf(target) === here.origin)) return undefined;
    if (target.searchParams.has(query)) return "url";
    return listed ? "query" : "header";
  } catch {
    // The browser says what is wrong with it.
    return undefined;
  }
}

/**
 * The URL with the page's version in its query, for `<img>`, `<iframe>`, links and whatever else the browser fetches by
 * itself. URLs of other origins, and those that already say a version, are returned unchanged.
 */
export function versioned(url: string | URL): string {
  const text = String(url);
  const carrier = carrierOf(text);
  if (!carrier || carrier === "url") return text;
  const separator = /^[^#]*\?/.test(text) ? "&" : "?";
  return text.replace(/(?=#)|$/, `${separator}${query}=${encodeURIComponent(version)}`);
}

/** A socket's origin is the one that its page could fetch from. */
function originOf(url: URL): string {
  return url.origin.replace(/^ws/, "http");
}
