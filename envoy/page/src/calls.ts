import { useState } from "react";
import { isOutdated } from "skew-guard-client";
import { costOf, type Item } from "#cart";
import { useRepeat } from "./repeat";
import { version } from "./version";

/** Who answered: a pod of the page's own release, of another, the filter (to reload), or nobody. */
export type Kind = "own" | "other" | "reload" | "failed";

export interface Call {
  id: number;
  kind: Kind;
  release: string | null;
  pod: string | null;
  /** The total that the page reads from the answer; NaN if it cannot read it. */
  total: number | null;
}

export interface Calls {
  /** The last of them, oldest first. */
  last: Call[];
  totals: Record<Kind, number>;
}

/** As many as the strip shows. */
export const PLACES = 40;

const PAUSE = 500;
const TIMEOUT = 5_000;

const NONE: Calls = { last: [], totals: { own: 0, other: 0, reload: 0, failed: 0 } };

/** Asks for the cart again and again, until the page is told that its release is gone. */
export function useCalls(): Calls {
  const [calls, setCalls] = useState(NONE);
  const isGone = calls.totals.reload > 0;
  useRepeat(async () => {
    const call = await callOnce();
    setCalls((calls) => added(calls, call));
  }, PAUSE, !isGone);
  return calls;
}

type Answer = Omit<Call, "id">;

async function callOnce(): Promise<Answer> {
  try {
    const response = await fetch("/api/cart", { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) });
    const release = response.headers.get("x-app-version");
    const pod = response.headers.get("x-pod");
    if (isOutdated(response)) return { kind: "reload", release, pod, total: null };
    if (!response.ok) return { kind: "failed", release, pod, total: null };
    const cart: { items: Item[] } = await response.json();
    const total = cart.items.reduce((sum, item) => sum + costOf(item), 0);
    return { kind: release === version ? "own" : "other", release, pod, total };
  } catch {
    return { kind: "failed", release: null, pod: null, total: null };
  }
}

function added({ last, totals }: Calls, answer: Answer): Calls {
  const id = (last.at(-1)?.id ?? 0) + 1;
  return {
    last: [...last, { id, ...answer }].slice(-PLACES),
    totals: { ...totals, [answer.kind]: totals[answer.kind] + 1 },
  };
}
