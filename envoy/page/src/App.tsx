import { useEffect, useRef, useState } from "react";
import { onUpdate, reload, type Update } from "skew-guard-client";
import { Behind } from "./Behind";
import { Buttons } from "./Buttons";
import { useCalls } from "./calls";
import { headline } from "./headline";
import { Note } from "./Note";
import { Pods } from "./Pods";
import { Release } from "./Release";
import { useRepeat } from "./repeat";
import { ask, press, type DemoState } from "./demo";
import { Strip } from "./Strip";
import { Total } from "./Total";
import { version } from "./version";

const PAUSE = 400;

export function App() {
  const calls = useCalls();
  const { demo, isLost, refresh } = useDemoState();
  const update = useUpdate();
  return (
    <>
      <header className="top">
        <p className="brand">
          skew-guard <span>demo</span>
        </p>
        <p className="tab">
          This tab is <Release version={version} />
        </p>
        {demo && <StartOver refresh={refresh} />}
      </header>
      <main>
        <section className="stage" aria-label="What this tab gets">
          {update === "required" ? <OutOfDate /> : <Status demo={demo} isLost={isLost} calls={calls} />}
          <div className="shop">
            <Total calls={calls} />
            <Note />
          </div>
          <div className="evidence">
            <Pods demo={demo} answered={calls.last.at(-1)?.pod ?? null} />
            <Strip calls={calls} />
          </div>
        </section>
        <Buttons demo={demo} isOutdated={update === "required"} refresh={refresh} />
        {demo && <Behind demo={demo} calls={calls} refresh={refresh} />}
      </main>
    </>
  );
}

/** The state of the demo, polled. A page of an earlier round reloads itself. */
function useDemoState() {
  const [demo, setDemo] = useState<DemoState>();
  const [misses, setMisses] = useState(0);
  const round = useRef<number>(undefined);
  const refresh = async () => {
    try {
      const demo = await ask<DemoState>("/demo/state");
      round.current ??= demo.round;
      if (round.current !== demo.round && demo.settled) void reload();
      setDemo(demo);
      setMisses(0);
    } catch {
      setMisses((misses) => misses + 1);
    }
  };
  useRepeat(refresh, PAUSE);
  // A single miss may only mean that the machine is busy.
  return { demo, isLost: misses > 1, refresh };
}

function useUpdate(): Update | undefined {
  const [update, setUpdate] = useState<Update>();
  useEffect(() => onUpdate(setUpdate), []);
  return update;
}

interface StatusProps {
  demo: DemoState | undefined;
  isLost: boolean;
  calls: Parameters<typeof headline>[1];
}

function Status({ demo, isLost, calls }: StatusProps) {
  const lost = { tone: "bad", title: "The demo does not answer.", text: "Is “make up” still running in its terminal?" };
  const starting = { tone: "plain", title: "One moment.", text: "The page is asking what is deployed." };
  const { tone, title, text } = isLost ? lost : demo ? headline(demo, calls) : starting;
  return (
    <div className="told" data-tone={tone} role="status">
      <h1>{title}</h1>
      <p>{text}</p>
    </div>
  );
}

function OutOfDate() {
  return (
    <div className="told banner" data-tone="update" role="alert">
      <div>
        <h1>This page is out of date.</h1>
        <p>{version} is retired. What you typed is still here.</p>
      </div>
      <button className="primary" id="reload" onClick={() => void reload()}>
        Reload
      </button>
    </div>
  );
}

function StartOver({ refresh }: { refresh: () => Promise<void> }) {
  const again = () => void press("start-over").then(refresh, refresh);
  return (
    <button className="quiet" id="start-over" onClick={again}>
      Start over
    </button>
  );
}
