import { isFirstAttempt } from "./attempts.js";
import { reload } from "./reload.js";
import { isTyped } from "./typed.js";
import { known } from "./update.js";

/** A click leads somewhere within this many milliseconds, or a part that it needs is known to be missing. */
const RECENTLY = 10_000;

let clicked = { to: "", from: "", at: -Infinity };

/** At a link a person leaves the page anyway: if its release is gone, the link becomes a page load. */
export function watchLinks(): void {
  addEventListener(
    "click",
    (event) => {
      const to = linkOf(event);
      if (!to) return;
      clicked = { to, from: location.href, at: Date.now() };
      if (!mayLeave()) return;
      // The application's listeners run: routers leave alone what was prevented.
      event.preventDefault();
      void reload(to);
    },
    true,
  );
}

/** Where the person is about to go: a router may show the new URL already, or only when it has the page for it. */
export function destination(): string {
  const pending = clicked.from === location.href && Date.now() - clicked.at < RECENTLY;
  return pending ? clicked.to : location.href;
}

function mayLeave(): boolean {
  return known === "required" && navigator.onLine && !isTyped() && isFirstAttempt();
}

/** The link that a click follows within this tab and application. */
function linkOf(event: MouseEvent): string | undefined {
  const { button, metaKey, ctrlKey, shiftKey, altKey, defaultPrevented } = event;
  if (button || metaKey || ctrlKey || shiftKey || altKey || defaultPrevented) return;
  const link = event.composedPath().find((element) => element instanceof HTMLAnchorElement);
  if (!link?.href || link.origin !== location.origin || link.hasAttribute("download")) return;
  if (link.target && link.target !== "_self") return;
  return isWithinPage(link) ? undefined : link.href;
}

function isWithinPage({ href, hash }: HTMLAnchorElement): boolean {
  return href.includes("#") && !/^#!?\//.test(hash) && withoutFragment(href) === withoutFragment(location.href);
}

function withoutFragment(url: string): string | undefined {
  return url.split("#")[0];
}
