import type { Calls } from "./calls";
import type { Sight } from "./sight";
import { version } from "./version";

/** What is to be seen now, in two sentences. */
export interface Headline {
  tone: "plain" | "bad" | "good";
  title: string;
  text: string;
}

/** How many calls without skew it takes to say that there is none. */
const LOOKED_BACK = 6;

/** Tells what the page's own calls show; what is deployed and switched only says why. */
export function headline(sight: Sight, calls: Calls): Headline {
  const recent = calls.last.slice(-LOOKED_BACK);
  const other = recent.findLast((call) => call.kind === "other")?.release;
  if (other) return sight.guard ? ending(sight) : skewed(other, sight);
  if (recent.length > 0 && recent.every((call) => call.kind === "failed")) {
    return { tone: "bad", title: "No pod answers.", text: "They are being restarted; this page keeps asking." };
  }
  return calm(sight);
}

function skewed(other: string, { phase, releases }: Sight): Headline {
  const title = `Skew: ${other} answers a page of ${version}.`;
  if (phase === "retired" && version === releases.old) {
    return { tone: "bad", title, text: `No pod of ${version} is left, and nobody tells this tab.` };
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

function ending({ phase }: Sight): Headline {
  const why = phase === "retired" ? "this tab’s release is gone" : "calls go to their own release";
  return { tone: "plain", title: "skew-guard is on.", text: `From now on ${why}.` };
}

function calm({ phase, guard, settled, releases }: Sight): Headline {
  if (phase === "before") {
    if (!settled) return { tone: "plain", title: "Starting over.", text: `Pods become ${releases.old} again.` };
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
    return { tone: "good", title: `This tab is ${version}, and so are its pods.`, text: `${releases.old} is gone. Start over to see it once more.` };
  }
  return {
    tone: "good",
    title: "No skew.",
    text: `Every call of this tab goes to a pod of ${version}, whichever releases there are.`,
  };
}
