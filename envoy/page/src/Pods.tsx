import { Mark } from "./Release";
import type { Pod, DemoState } from "./demo";

/** A dot for each pod; the one that last answered this tab is marked. */
export function Pods({ demo, answered }: { demo: DemoState | undefined; answered: string | null }) {
  const pods = demo?.pods ?? [];
  return (
    <div className="pods">
      <h2>Pods</h2>
      <ol>
        {pods.map((pod, place) => (
          <li key={place} data-answered={pod.name !== null && pod.name === answered}>
            <Mark version={pod.release} />
            <span className="hidden">{pod.name ?? "starting"}</span>
          </li>
        ))}
      </ol>
      <p className="legend">
        {demo && [demo.releases.old, demo.releases.new].map((version) => (
          <span key={version}>
            <Mark version={version} /> {version}: <b>{of(pods, version)} {of(pods, version) === 1 ? "pod" : "pods"}</b>
          </span>
        ))}
      </p>
    </div>
  );
}

const of = (pods: Pod[], version: string) => pods.filter((pod) => pod.release === version).length;
