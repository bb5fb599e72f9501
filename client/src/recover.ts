import { isFirstAttempt } from "./attempts.js";
import { destination } from "./links.js";
import { isOutdated } from "./outdated.js";
import { isLoadError } from "./parts.js";
import { probe } from "./probe.js";
import { reload } from "./reload.js";
import { isTyped } from "./typed.js";

/** An error boundary that is rendered again and again asks once a second at most. */
const PAUSE = 1_000;

/** While the service worker is updated the page is still there, and may ask again. */
let leaving = false;

/**
 * For an error boundary: leaves for where the person was going if an update is the reason for the error, if nothing
 * that was typed is lost, and only once. Returns whether it leaves; if not, show the person something.
 */
export async function recover(error?: unknown): Promise<boolean> {
  const target = destination();
  const may = document.visibilityState === "visible" && (await isReason(error)) && !isTyped();
  if (leaving) return true;
  if (!may || !isFirstAttempt()) return false;
  leaving = true;
  await reload(target);
  leaving = false;
  return true;
}

/**
 * What was known before does not count, because the page may be offline by now. A release that is still served may lack
 * a file, but does not explain any other error.
 */
async function isReason(error: unknown): Promise<boolean> {
  if (isOutdated(error)) return true;
  const update = await probe(PAUSE);
  return update === "required" || (update === "available" && isLoadError(error));
}
