/**
 * How long a click may wait for the service worker, in milliseconds. It waits only if a new one is on its way;
 * leaving sooner would bring the old page back.
 */
const PATIENCE = 10_000;

/**
 * Leaves this page for one of the current release, at `target` or at its own URL. The service worker comes first: one that
 * has the old page would bring it back.
 */
export async function reload(target?: string | URL): Promise<void> {
  // As a click listener it gets an event.
  const isPlace = typeof target === "string" || target instanceof URL;
  const { href, origin } = new URL(isPlace ? target : location.href, document.baseURI);
  // Without a worker in between, the browser goes there by itself, and stays if the target is a download.
  const isHere = origin === location.origin && (!!navigator.serviceWorker?.controller || isSame(href));
  // Before the worker changes: some applications reload the page when it does, and so they load the right one.
  if (isHere && href !== location.href) history.pushState(null, "", href);
  await Promise.race([updateWorker(), new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
  if (isHere) location.reload();
  else location.assign(href);
}

/** Going to a URL that differs only in its fragment does not load anything. */
function isSame(href: string): boolean {
  return href.split("#")[0] === location.href.split("#")[0];
}

/** A worker is never unregistered: what it keeps for offline use belongs to the person. */
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
