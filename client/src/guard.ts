/**
 * Runs in the page itself, before any script that may be missing: an old page from some cache asks for the entry script
 * of a release that is gone, and would stay white. It is reloaded once; if that does not help, or if there is no way to
 * remember that it was tried, a message appears. The function is self-contained, and is written into pages as
 * text: the same in every release, so that one hash in a content security policy allows it for good.
 */
function guard(sentence: string, again: string): void {
  const key = "skew-guard-entry";
  const limit = 10000;
  const gone = [404, 409];

  async function isMissing(script: string): Promise<boolean> {
    try {
      return gone.includes((await fetch(script, { method: "HEAD", cache: "no-store" })).status);
    } catch {
      return false;
    }
  }
  function isFirst(script: string): boolean {
    try {
      if (sessionStorage.getItem(key) === script) return false;
      sessionStorage.setItem(key, script);
      return true;
    } catch {
      return false;
    }
  }
  async function updateWorker(): Promise<void> {
    const registration = await navigator.serviceWorker?.getRegistration();
    await registration?.update();
    const next = registration?.installing ?? registration?.waiting;
    if (!next) return;
    await new Promise<void>((done) => {
      const look = () => {
        if (next.state === "installed") next.postMessage({ type: "SKIP_WAITING" });
        if (next.state === "activated" || next.state === "redundant") done();
      };
      next.addEventListener("statechange", look);
      look();
    });
  }
  function say(): void {
    const text = document.createElement("p");
    const link = document.createElement("a");
    text.setAttribute("role", "alert");
    link.href = location.href;
    link.append(again);
    text.append(`${sentence} `, link);
    document.body.prepend(text);
  }
  async function recover(script: string): Promise<void> {
    if (!(await isMissing(script)) || !isFirst(script)) return say();
    await Promise.race([updateWorker().catch(() => {}), new Promise((done) => setTimeout(done, limit))]);
    location.reload();
  }
  addEventListener(
    "error",
    ({ target }) => {
      if (target instanceof HTMLScriptElement && target.type === "module") void recover(target.src);
    },
    true,
  );
}

/** The guard as a script's text. */
export function guardText(sentence: string, again: string): string {
  const code = String(guard).replace(/\n\s*/g, "\n");
  return `(${code})(${[sentence, again].map(literal).join(",")})`;
}

/** A text that ends no script element. */
function literal(text: string): string {
  return JSON.stringify(text).replace(/</g, "\\u003c");
}
