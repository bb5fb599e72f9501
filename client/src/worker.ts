import { install } from "./install.js";
import { builtVersion } from "./version.js";

/** Without a bundler's constant, a worker has its version in its directory or in its query. */
function ownVersion(): string | undefined {
  const directory = /\/v-([^/]+)\//.exec(location.pathname);
  return builtVersion() ?? directory?.[1] ?? new URLSearchParams(location.search).get("dpl") ?? undefined;
}

const version = ownVersion();
// A development server has no version.
if (version !== "") install({ version });
