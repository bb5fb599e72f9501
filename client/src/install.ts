import { patchBeacon } from "./beacon.js";
import { configure, type Options } from "./carrier.js";
import { patchFetch } from "./fetch.js";
import { patchForms } from "./forms.js";
import { watchLinks } from "./links.js";
import { watchMoments } from "./moments.js";
import { patchSockets } from "./sockets.js";
import { watchTyping } from "./typed.js";
import { builtVersion, isVersion } from "./version.js";
import { patchXhr } from "./xhr.js";

let installed = false;

/**
 * From now on every request to the page's own origin and to the listed origins states the page's version. On a server it
 * only changes what `versioned` returns, so that the server renders what the page would render.
 */
export function install(options: Options = {}): void {
  const version = options.version ?? builtVersion();
  if (!isVersion(version)) {
    console.warn(`skew-guard-client: "${version}" is no version`);
    return;
  }
  configure(version, options);
  if (installed || typeof location === "undefined") return;
  installed = true;
  patchFetch();
  patchXhr();
  patchSockets();
  if (typeof document !== "undefined") installInPage();
}

function installInPage(): void {
  patchBeacon();
  patchForms();
  watchTyping();
  watchLinks();
  watchMoments();
}
