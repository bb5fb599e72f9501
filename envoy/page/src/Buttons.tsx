import { useState, type ReactNode } from "react";
import { press, type Sight } from "./sight";
import { version } from "./version";

interface Props {
  sight: Sight | undefined;
  isOutdated: boolean;
  refresh: () => Promise<void>;
}

/** The three steps. The one that comes next stands out. */
export function Buttons({ sight, isOutdated, refresh }: Props) {
  const [problem, setProblem] = useState("");
  const releases = sight?.releases ?? { old: "1.4.2", new: "2.0.0" };
  const act = (button: string, body?: object) => {
    setProblem("");
    press(button, body).then(refresh, (error: Error) => {
      setProblem(error.message);
      return refresh();
    });
  };
  const next = sight && nextOf(sight);
  const waiting = sight ? null : "One moment.";
  return (
    <section className="buttons" aria-label="Three steps">
      <ol>
        <Step id="deploy" isNext={next === "deploy"} refusal={waiting ?? sight?.refusals.deploy ?? null}
          press={() => act("deploy")} label={`Deploy ${releases.new}`}
          sentence="Six of eight pods become the new release, one by one." />
        <Step id="guard" isNext={next === "guard"} refusal={waiting} isPressed={sight?.guard ?? false}
          press={() => act("guard", { on: !sight?.guard })}
          label={<>skew-guard <Switch on={sight?.guard ?? false} /></>}
          sentence="Off, any pod answers this tab. On, only pods of the tab’s own release do." />
        <Step id="retire" isNext={next === "retire"} refusal={waiting ?? sight?.refusals.retire ?? null}
          press={() => act("retire")} label={`Retire ${releases.old}`}
          sentence="Its last pods go. Its tabs are told to reload, and lose nothing that was typed." />
      </ol>
      <p className="after">
        <NewTab sight={sight} isOutdated={isOutdated} />
        {problem && <span role="alert" className="problem">{problem}</span>}
      </p>
    </section>
  );
}

type StepName = "deploy" | "guard" | "retire";

function nextOf({ phase, guard, settled }: Sight): StepName | undefined {
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

/** A button that cannot be pressed stays in reach of the keyboard, and says why. */
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

/** What `aria-pressed` says, for the eye. */
function Switch({ on }: { on: boolean }) {
  return (
    <span className="switch" data-on={on} aria-hidden="true">
      <span>off</span>
      <span>on</span>
    </span>
  );
}

function NewTab({ sight, isOutdated }: { sight: Sight | undefined; isOutdated: boolean }) {
  return (
    <span>
      <a id="new-tab" href="/" target="_blank" rel="noopener">Open a new tab</a>
      {sight && leadsTo(sight, isOutdated)}
    </span>
  );
}

/** Which release a new tab is of, while this one stays what it is. */
function leadsTo({ phase, settled, guard, share, releases }: Sight, isOutdated: boolean): string {
  if (phase === "before" || (phase === "deployed" && !settled && guard)) return `: it is ${releases.old} too.`;
  if (phase === "retired") return `: it is ${releases.new}${isOutdated ? ", as this one when it is loaded again" : ""}.`;
  if (!guard) return ": it is either release, by chance.";
  if (share < 100) return `: it is ${releases.new} for ${share} of 100 visitors.`;
  return version === releases.old
    ? `: it is ${releases.new}, while this one stays ${releases.old}. Both work.`
    : `: it is ${releases.new} too.`;
}
