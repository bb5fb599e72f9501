import type { Calls } from "./calls";
import type { DemoState } from "./demo";
import { version } from "./version";

/** What the page shows at the moment, in two sentences. */
export interface Headline {
  tone: "plain" | "bad" | "good";
  title: string;
  text: string;
}

/** How many calls without skew it takes before the page says that there is none. */
const LOOKED_BACK = 6;

/** Based on the page's own calls; what is deployed and switched on only serves to explain them. */
export function headline(demo: DemoState, calls: Calls): Headline {
  const recent = calls.last.slice(-LOOKED_BACK);
  const other = recent.findLast((call) => call.kind === "other")?.release;
  if (other) return demo.guard ? ending(demo) : skewed(other, demo);
  if (recent.length > 0 && recent.every((call) => call.kind === "failed")) {
    return { tone: "bad", title: "No pod answers.", text: "They are being restarted; this page keeps asking." };
  }
  return calm(demo);
}

function skewed(other: string, { phase, releases }: DemoState): Headline {
  const title = `Skew: ${other} answers a page of ${version}.`;
  if (phase === "retired" && version === releases.old) {
    return { tone: "bad", title, text: `No pod of ${version} is left, and nothing tells this tab.` };
  }
  const [wanted, sent] = [fieldOf(version), fieldOf(other)];
  const text =
    wanted === sent
      ? "It happens to understand the answer. That is luck."
      : `This page reads “${wanted}”, and pods of ${other} send “${sent}”.`;
  return { tone: "bad", title, text };
}

/** What a release calls the cost of an item. */
const fieldOf = (release: string) => (release.startsWith("1.") ? "price" : "amount");

function ending({ phase }: DemoState): Headline {
  const why = phase === "retired" ? "this tab’s release is gone" : "calls go to their own release";
  return { tone: "plain", title: "skew-guard is on.", text: `From now on ${why}.` };
}

function calm({ phase, guard, settled, releases }: DemoState): Headline {
  if (phase === "before") {
    if (!settled) return { tone: "plain", title: "Starting over.", text: `The pods go back to ${releases.old}.` };
    return {
      tone: "plain",
      title: "Eight pods, one release.",
      text: `This tab asks for the price twice a second. Deploy ${releases.new}, and watch it.`,
    };
  }
  if (!guard && !(phase === "retired" && version !== releases.old)) {
    return { tone: "plain", title: "Two releases, side by side.", text: "Any pod may answer this tab." };
  }
  if (phase === "retired") {
    return { tone: "good", title: `This tab is ${version}, and so are its pods.`, text: `${releases.old} is gone. Start over to see it again.` };
  }
  return {
    tone: "good",
    title: "No skew.",
    text: `Every call of this tab goes to a pod of ${version}, whatever else is deployed.`,
  };
}
