import { version } from "./carrier.js";
import { wanted } from "./update.js";

const KEY = "skew-guard";

/**
 * Whether this tab leaves this version for the wanted one for the first time; from then on it did. A load that brought
 * the old page back would bring it again. Where nothing can be remembered, nothing is tried.
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
