import { useState, type ReactNode } from "react";
import { press, type DemoState } from "./demo";
import { version } from "./version";

interface Props {
  demo: DemoState | undefined;
  isOutdated: boolean;
  refresh: () => Promise<void>;
}

/** The three steps. The next one is highlighted. */
export function Buttons({ demo, isOutdated, refresh }: Props) {
  const [problem, setProblem] = useState("");
  const releases = demo?.releases ?? { old: "1.4.2", new: "2.0.0" };
  const act = (button: string, body?: object) => {
    setProblem("");
    press(button, body).then(refresh, (error: Error) => {
      setProblem(error.message);
      return refresh();
    });
  };
  const next = demo && nextOf(demo);
  const waiting = demo ? null : "One moment.";
  return (
    <section className="buttons" aria-label="Three steps">
      <ol>
        <Step id="deploy" isNext={next === "deploy"} refusal={waiting ?? demo?.refusals.deploy ?? null}
          press={() => act("deploy")} label={`Deploy ${releases.new}`}
          sentence="Six of eight pods are replaced by the new release, one by one." />
        <Step id="guard" isNext={next === "guard"} refusal={waiting} isPressed={demo?.guard ?? false}
          press={() => act("guard", { on: !demo?.guard })}
          label={<>skew-guard <Switch on={demo?.guard ?? false} /></>}
          sentence="Off, any pod answers this tab. On, only pods of the tab’s own release do." />
        <Step id="retire" isNext={next === "retire"} refusal={waiting ?? demo?.refusals.retire ?? null}
          press={() => act("retire")} label={`Retire ${releases.old}`}
          sentence="Its last pods are removed. Its tabs are told to reload, and typed text is kept." />
      </ol>
      <p className="after">
        <NewTab demo={demo} isOutdated={isOutdated} />
        {problem && <span role="alert" className="problem">{problem}</span>}
      </p>
    </section>
  );
}

type StepName = "deploy" | "guard" | "retire";

function nextOf({ phase, guard, settled }: DemoState): StepName | undefined {
  if (phase === "before") return settled ? "deploy" : undefined;
  if (!settled) return undefined;
  if (!guard) return "guard";
  return phase === "deployed" ? "retire" : undefined;
}

interface StepProps {
  id: StepName;
  label: ReactNode;
  sentence: string;
  refusal: string | null;
  isNext: boolean;
  isPressed?: boolean;
  press: () => void;
}

/** A button that cannot be pressed stays focusable, and says why it cannot be pressed. */
function Step({ id, label, sentence, refusal, isNext, isPressed, press }: StepProps) {
  return (
    <li>
      <button id={id} className={isNext ? "primary" : undefined} aria-disabled={refusal !== null} aria-pressed={isPressed}
        aria-describedby={`${id}-sentence ${id}-refusal`} onClick={() => refusal === null && press()}>
        {label}
      </button>
      <p id={`${id}-sentence`}>{sentence}</p>
      <p id={`${id}-refusal`} className="refusal">{refusal}</p>
    </li>
  );
}

/** Shows what `aria-pressed` says. */
function Switch({ on }: { on: boolean }) {
  return (
    <span className="switch" data-on={on} aria-hidden="true">
      <span>off</span>
      <span>on</span>
    </span>
  );
}

function NewTab({ demo, isOutdated }: { demo: DemoState | undefined; isOutdated: boolean }) {
  return (
    <span>
      <a id="new-tab" href="/" target="_blank" rel="noopener">Open a new tab</a>
      {demo && leadsTo(demo, isOutdated)}
    </span>
  );
}

/** Which release a new tab gets, while this one keeps its own. */
function leadsTo({ phase, settled, guard, share, releases }: DemoState, isOutdated: boolean): string {
  if (phase === "before" || (phase === "deployed" && !settled && guard)) return `: it will be ${releases.old} too.`;
  if (phase === "retired") return `: it will be ${releases.new}${isOutdated ? ", and so will this one once it reloads" : ""}.`;
  if (!guard) return ": its release is left to chance.";
  if (share < 100) return `: it will be ${releases.new} for ${share} of 100 visitors.`;
  return version === releases.old
    ? `: it will be ${releases.new}, while this one stays ${releases.old}. Both work.`
    : `: it will be ${releases.new} too.`;
}
