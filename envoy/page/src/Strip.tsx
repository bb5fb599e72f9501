import { PLACES, type Calls, type Kind } from "./calls";
import { version } from "./version";

const SIGNS: Record<Kind, string> = { own: "✓", other: "✕", reload: "↻", failed: "–" };

/** A square for each call of this tab, the newest last. */
export function Strip({ calls: { last, totals } }: { calls: Calls }) {
  const empty = Array.from({ length: PLACES - last.length });
  const told: [Kind, string][] = [
    ["own", `${totals.own} answered by ${version}`],
    ["other", `${totals.other} by another`],
    ["failed", `${totals.failed} by nobody`],
    ["reload", "told to reload"],
  ];
  const shown = told.filter(([kind]) => kind === "own" || kind === "other" || totals[kind] > 0);
  return (
    <div className="strip">
      <h2>Calls of this tab</h2>
      <div className="squares" aria-hidden="true">
        {last.map(({ id, kind, pod, release }) => (
          <i key={id} data-kind={kind} data-pod={pod ?? undefined} data-release={release ?? undefined} title={pod ?? undefined}>
            {SIGNS[kind]}
          </i>
        ))}
        {empty.map((_, place) => (
          <i key={-place} />
        ))}
      </div>
      <p className="legend" id="totals" data-own={totals.own} data-other={totals.other} data-failed={totals.failed}>
        {shown.map(([kind, text]) => (
          <span key={kind}>
            <i data-kind={kind} aria-hidden="true">{SIGNS[kind]}</i> {text}
          </span>
        ))}
      </p>
    </div>
  );
}
