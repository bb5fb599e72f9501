import { isLoadError } from "./parts.js";
import { lookForUpdate } from "./probe.js";

const MOMENTS = ["online", "visibilitychange", "pageshow", "vite:preloadError", "unhandledrejection", "error"];

/** The moments at which a page may find that its release is gone without having asked for anything. */
export function watchMoments(): void {
  for (const moment of MOMENTS) addEventListener(moment, (event) => isReason(event) && lookForUpdate(), true);
}

function isReason(event: Event & { persisted?: boolean; reason?: unknown }): boolean {
  // A page that is shown was either loaded, and knows enough, or restored from the back/forward cache.
  if (event.persisted === false) return false;
  if ("reason" in event) return isLoadError(event.reason);
  // A script or a style sheet that did not load; what a script throws has the window as its target.
  return event.type !== "error" || /SCRIPT|LINK/.test((event.target as Element).tagName);
}
