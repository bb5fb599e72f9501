/** What is known of a newer release: from `x-client-update`, and from nothing else. */

/** `available`: the page's release is still served. `required`: it is gone. */
export type Update = "available" | "required";

type Listener = (update: Update) => void;

/** Reads a header of an answer. */
export type Headers = (name: string) => string | null | undefined;

const listeners = new Set<Listener>();

/** What was heard so far. */
export let known: Update | undefined;

/** The release that the last hint named, to tell one update from the next. */
export let wanted: string | null | undefined;

/** Calls the listener when an update becomes available or required, and at once if it already is. Returns a function that stops it. */
export function onUpdate(listener: Listener): () => void {
  listeners.add(listener);
  if (known) tell(listener);
  return () => void listeners.delete(listener);
}

/** Takes note of an answer to the page, and returns what it said. */
export function notice(header: Headers): Update | undefined {
  const update = updateOf(header);
  if (!update) return undefined;
  wanted = header("x-client-current");
  if (update !== known && known !== "required") {
    known = update;
    listeners.forEach(tell);
  }
  return update;
}

/** What an answer's headers say. */
export function updateOf(header: Headers): Update | undefined {
  const value = header("x-client-update");
  return value === "available" || value === "required" ? value : undefined;
}

/** In a separate task: what a listener throws must not reach whoever waits for the answer. */
function tell(listener: Listener): void {
  queueMicrotask(() => {
    if (known && listeners.has(listener)) listener(known);
  });
}
