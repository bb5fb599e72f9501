import { useEffect, useRef, useState } from "react";
import type { Calls } from "./calls";
import { Release } from "./Release";
import { ask, press, type Counter, type Explanation, type DemoState } from "./demo";
import { version } from "./version";

interface Props {
  demo: DemoState;
  calls: Calls;
  refresh: () => Promise<void>;
}

/** The details, all reported by Envoy, the pods and the tool. */
export function Behind({ demo, calls, refresh }: Props) {
  return (
    <section className="behind" aria-labelledby="behind">
      <h2 id="behind">Behind the scenes</h2>
      <div className="panels">
        <PodTable demo={demo} />
        <Counters demo={demo} calls={calls} />
        <Explained revision={demo.revision} />
        <Weights demo={demo} refresh={refresh} />
        <Preview demo={demo} />
      </div>
    </section>
  );
}

function PodTable({ demo }: { demo: DemoState }) {
  return (
    <article>
      <h3>Pods</h3>
      <p>Where Envoy sends requests, and how many it has sent.</p>
      <table>
        <thead>
          <tr><th scope="col">pod</th><th scope="col">release</th><th scope="col">requests</th></tr>
        </thead>
        <tbody>
          {demo.pods.map(({ name, release, requests }, place) => (
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

function Counters({ demo, calls }: { demo: DemoState; calls: Calls }) {
  const counters = demo.counters.filter(({ value }) => value > 0);
  return (
    <article>
      <h3>What the filter counted</h3>
      <p>
        For all tabs, since the demo started. When off, it still watches and counts (<code>enforce: false</code>). This
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

/** Without the plugin's name: there is only one. */
function told(labels: Counter["labels"]): string {
  const telling = labels.filter(([label]) => label !== "plugin");
  return telling.map(([label, text]) => `${label}="${text}"`).join(", ");
}

/** Fetched again when another configuration is in force: nothing else changes the answer. */
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
      <p>The tool’s answer, for revision {explanation?.revision ?? "…"} of the configuration.</p>
      <pre id="explained" tabIndex={0} aria-label="The answer of skew-guard explain">
        <b>$ {explanation?.command ?? "skew-guard explain …"}</b>{"\n"}
        {explanation?.text ?? ""}
      </pre>
    </article>
  );
}

function Weights({ demo: { share, refusals, releases }, refresh }: { demo: DemoState; refresh: () => Promise<void> }) {
  const [pages, setPages] = useState<Record<string, number>>();
  const [isBusy, setBusy] = useState(false);
  const slider = useRef<HTMLInputElement>(null);
  // Another tab's change is shown, but does not move the slider while someone is using it.
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

function Preview({ demo: { preview, refusals, releases } }: { demo: DemoState }) {
  const isOpen = version === releases.staged;
  return (
    <article>
      <h3>Preview</h3>
      <p>{releases.staged} is staged: it has one pod, and only visitors with the key reach it.</p>
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
