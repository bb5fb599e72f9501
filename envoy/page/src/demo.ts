/** The state of the demo, from `/demo/state`, as Envoy and the pods report it. */

export type Phase = "before" | "deployed" | "retired";

export interface Pod {
  name: string | null;
  release: string | null;
  requests: number;
}

export interface Counter {
  name: string;
  labels: [string, string][];
  value: number;
}

export interface DemoState {
  round: number;
  phase: Phase;
  settled: boolean;
  guard: boolean;
  share: number;
  releases: { old: string; new: string; staged: string };
  pods: Pod[];
  counters: Counter[];
  revision: number;
  refusals: { deploy: string | null; retire: string | null; weights: string | null; preview: string | null };
  preview: string;
}

export interface Explanation {
  command: string;
  text: string;
  revision: number;
}

const TIMEOUT = 5_000;

/** Asks the demo. */
export async function ask<Answer>(path: string): Promise<Answer> {
  return read(await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) }));
}

/** Presses a button. An error says why it cannot be pressed. */
export async function press<Answer = void>(button: string, body?: object): Promise<Answer> {
  const content = body && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(`/demo/${button}`, { method: "POST", ...content }).catch(() => {
    throw new Error("The demo does not answer.");
  });
  return read(response);
}

async function read<Answer>(response: Response): Promise<Answer> {
  if (response.status === 204) return undefined as Answer;
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `The demo answered ${response.status}.`);
  return answer;
}
