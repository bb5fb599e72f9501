import { useEffect, useRef, useState } from "react";
import type { Calls } from "./calls";
import { Release } from "./Release";
import { ask, press, type Counter, type Explanation, type Sight } from "./sight";
import { version } from "./version";

interface Props {
  sight: Sight;
  calls: Calls;
  refresh: () => Promise<void>;
}

/** For who wants to know how: all of it said by Envoy, the pods and the tool. */
export function Behind({ sight, calls, refresh }: Props) {
  return (
    <section className="behind" aria-labelledby="behind">
      <h2 id="behind">Behind the page</h2>
      <div className="panels">
        <PodTable sight={sight} />
        <Counters sight={sight} calls={calls} />
        <Explained revision={sight.revision} />
        <Weights sight={sight} refresh={refresh} />
        <Preview sight={sight} />
      </div>
    </section>
  );
}

function PodTable({ sight }: { sight: Sight }) {
  return (
    <article>
      <h3>Pods</h3>
      <p>Where Envoy sends requests, and how many it has sent.</p>
      <table>
        <thead>
          <tr><th scope="col">pod</th><th scope="col">release</th><th scope="col">requests</th></tr>
        </thead>
        <tbody>
          {sight.pods.map(({ name, release, requests }, place) => (
            <tr key={place}>
              <td>{name ?? "starting"}</td>
              <td>{release ? <Release version={release} /> : "–"}</td>
              <td>{requests}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </article>
  );
}

function Counters({ sight, calls }: { sight: Sight; calls: Calls }) {
  const counters = sight.counters.filter(({ value }) => value > 0);
  return (
    <article>
      <h3>What the filter counted</h3>
      <p>
        For all tabs, since the demo started. Off, it watches and counts all the same (<code>enforce: false</code>). This
        tab has seen <b>{calls.totals.other}</b> skewed answers.
      </p>
      <table>
        <thead>
          <tr><th scope="col">counter</th><th scope="col">value</th></tr>
        </thead>
        <tbody>
          {counters.map(({ name, labels, value }) => (
            <tr key={name + labels}>
              <td>
                <code>{name.replace("skew_guard_", "")}</code> <small>{told(labels)}</small>
              </td>
              <td>{value}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </article>
  );
}

/** There is one plugin. */
function told(labels: Counter["labels"]): string {
  const telling = labels.filter(([label]) => label !== "plugin");
  return telling.map(([label, text]) => `${label}="${text}"`).join(", ");
}

/** Asked again when another configuration is in force: nothing else changes the answer. */
function Explained({ revision }: { revision: number }) {
  const [explanation, setExplanation] = useState<Explanation>();
  useEffect(() => {
    let isCurrent = true;
    const question = new URLSearchParams({ path: "/api/cart", version });
    ask<Explanation>(`/demo/explain?${question}`).then(
      (explanation) => isCurrent && setExplanation(explanation),
      () => isCurrent && setExplanation(undefined),
    );
    return () => {
      isCurrent = false;
    };
  }, [revision]);
  return (
    <article className="wide">
      <h3>What happens to this tab’s last call</h3>
      <p>What the tool answers, for revision {explanation?.revision ?? "…"} of the configuration.</p>
      <pre id="explained" tabIndex={0} aria-label="The answer of skew-guard explain">
        <b>$ {explanation?.command ?? "skew-guard explain …"}</b>{"\n"}
        {explanation?.text ?? ""}
      </pre>
    </article>
  );
}

function Weights({ sight: { share, refusals, releases }, refresh }: { sight: Sight; refresh: () => Promise<void> }) {
  const [pages, setPages] = useState<Record<string, number>>();
  const [isBusy, setBusy] = useState(false);
  const slider = useRef<HTMLInputElement>(null);
  // What another tab weighs is shown, but not under the hand of who is at it.
  useEffect(() => {
    if (slider.current && document.activeElement !== slider.current) slider.current.value = String(share);
  }, [share]);
  const weigh = (value: string) => void press("weights", { new: Number(value) }).then(refresh, refresh);
  const send = () => {
    setBusy(true);
    press<{ pages: Record<string, number> }>("visitors")
      .then(({ pages }) => setPages(pages), () => setPages(undefined))
      .finally(() => setBusy(false));
  };
  return (
    <article>
      <h3>Weights</h3>
      <p>
        <label htmlFor="share">Of 100 new visitors <b>{share}</b> get {releases.new}, the others {releases.old}.</label>
      </p>
      <input id="share" type="range" min="0" max="100" step="10" ref={slider} defaultValue={share} disabled={refusals.weights !== null}
        onChange={(event) => weigh(event.target.value)} />
      <p className="refusal">{refusals.weights}</p>
      <button id="visitors" aria-disabled={isBusy} onClick={() => !isBusy && send()}>Send 40 visitors</button>
      <p role="status" id="visited">
        {pages && Object.entries(pages).map(([version, count]) => (
          <span key={version}><Release version={version} /> {count} </span>
        ))}
      </p>
    </article>
  );
}

function Preview({ sight: { preview, refusals, releases } }: { sight: Sight }) {
  const isOpen = version === releases.staged;
  return (
    <article>
      <h3>Preview</h3>
      <p>{releases.staged} is staged: one pod, and nobody is sent there without the key.</p>
      {isOpen ? (
        <p><a id="end-preview" href="/?preview=off">End the preview</a></p>
      ) : refusals.preview ? (
        <p className="refusal">{refusals.preview}</p>
      ) : (
        <p><a id="preview" href={preview}>Open {releases.staged}</a> in this browser, until you end the preview there.</p>
      )}
    </article>
  );
}
