import { Mark } from "./Release";
import type { Pod, Sight } from "./sight";

/** A dot for each pod; the one that answered this tab last is marked. */
export function Pods({ sight, answered }: { sight: Sight | undefined; answered: string | null }) {
  const pods = sight?.pods ?? [];
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
        {sight && [sight.releases.old, sight.releases.new].map((version) => (
          <span key={version}>
            <Mark version={version} /> {version}: <b>{of(pods, version)} {of(pods, version) === 1 ? "pod" : "pods"}</b>
          </span>
        ))}
      </p>
    </div>
  );
}

const of = (pods: Pod[], version: string) => pods.filter((pod) => pod.release === version).length;
