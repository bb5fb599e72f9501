import { version } from "./carrier.js";
import { wanted } from "./update.js";

const KEY = "skew-guard";

/**
 * Whether this is the first time that this tab leaves this version for the wanted one; remembers that it did. If a load
 * brought the old page back, another would too. If nothing can be remembered, nothing is tried.
 */
export function isFirstAttempt(): boolean {
  try {
    const attempt = ` ${version}>${wanted} `;
    const attempts = sessionStorage.getItem(KEY) ?? "";
    if (attempts.includes(attempt)) return false;
    sessionStorage.setItem(KEY, attempts + attempt);
    return true;
  } catch {
    return false;
  }
}
