/** How long a click may wait for the service worker, in milliseconds. */
const PATIENCE = 3_000;

/**
 * Leaves this page for the current release's, at `target` or at its own URL. The service worker comes first: one that
 * has the old page would bring it back.
 */
export async function reload(target: string | URL = location.href): Promise<void> {
  await Promise.race([updateWorker(), new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
  load(new URL(target, document.baseURI));
}

/** A worker is never unregistered: what it keeps for work offline is the person's. */
async function updateWorker(): Promise<void> {
  try {
    const registration = await navigator.serviceWorker?.getRegistration();
    await registration?.update();
    const next = registration?.installing ?? registration?.waiting;
    if (next) await takesOver(next);
  } catch {
    // It cannot be asked for now, and the page may be reached without it.
  }
}

function takesOver(worker: ServiceWorker): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (worker.state === "installed") worker.postMessage({ type: "SKIP_WAITING" });
      if (worker.state === "activated" || worker.state === "redundant") resolve();
    };
    worker.addEventListener("statechange", look);
    look();
  });
}

function load(target: URL): void {
  if (withoutFragment(target.href) !== withoutFragment(location.href)) return location.assign(target);
  // To go to another part of the same page is no load.
  history.replaceState(history.state, "", target);
  location.reload();
}

export function withoutFragment(url: string): string {
  return url.split("#")[0] ?? "";
}
