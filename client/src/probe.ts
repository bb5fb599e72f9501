import { known, updateOf, type Update } from "./update.js";

/** A socket that reconnects again and again must not cause as many probes, least of all in an outage. */
const PAUSE = 10_000;

let asked = -Infinity;
let answer: Promise<Update | undefined> = Promise.resolve(undefined);

/**
 * Sends a HEAD request for the page's own path: the answer tells an update from an outage and from being offline. An
 * answer younger than `age` milliseconds is reused.
 */
export function probe(age: number): Promise<Update | undefined> {
  if (Date.now() - asked < age) return answer;
  asked = Date.now();
  answer = ask();
  return answer;
}

/** Asks when something happened that an update would explain, while someone looks at the page. A worker leaves it to its page. */
export function lookForUpdate(): void {
  if (known !== "required" && isSeen()) void probe(PAUSE);
}

function isSeen(): boolean {
  return typeof document !== "undefined" && document.visibilityState === "visible";
}

async function ask(): Promise<Update | undefined> {
  try {
    // Without the query: it may contain something that can be used only once.
    const response = await fetch(location.pathname, { method: "HEAD", cache: "no-store" });
    return updateOf((name) => response.headers.get(name));
  } catch {
    return undefined;
  }
}
