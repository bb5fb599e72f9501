import { install } from "./install.js";
import { builtVersion } from "./version.js";

/** A worker without the constant of a bundler lies in the directory of its version, or has it in its query. */
function ownVersion(): string | undefined {
  const directory = /\/v-([^/]+)\//.exec(location.pathname);
  return builtVersion() ?? directory?.[1] ?? new URLSearchParams(location.search).get("dpl") ?? undefined;
}

const version = ownVersion();
// A development server has no version, and says so.
if (version !== "") install({ version });
