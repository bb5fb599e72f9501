import { versioned } from "./carrier.js";
import { onConstruct } from "./construct.js";
import { lookForUpdate } from "./probe.js";

/** WebSocket and EventSource: a page cannot give them headers, and does not see why they were refused. */
export function patchSockets(): void {
  onConstruct("WebSocket", inQuery, (socket: WebSocket) => {
    let opened = false;
    socket.addEventListener("open", () => (opened = true));
    socket.addEventListener("close", () => opened || lookForUpdate());
  });
  onConstruct("EventSource", inQuery, (source: EventSource) => {
    source.addEventListener("error", () => source.readyState === source.CLOSED && lookForUpdate());
  });
}

function inQuery(url: unknown): string {
  return versioned(url as string | URL);
}
