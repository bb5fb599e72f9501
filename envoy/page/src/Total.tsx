import type { Calls } from "./calls";
import { Release } from "./Release";

const euros = new Intl.NumberFormat("en", { style: "currency", currency: "EUR" });

/** What the cart costs, as the page read it from the last answer that it could use. */
export function Total({ calls }: { calls: Calls }) {
  const call = calls.last.findLast((call) => call.total !== null);
  const total = call?.total;
  return (
    <div>
      <p className="total">
        <span>Lamp, chair and table</span>
        <output id="total" data-broken={Number.isNaN(total)}>
          {total === undefined || total === null ? "…" : euros.format(total / 100)}
        </output>
      </p>
      <p className="answered">{call?.release && <>answered by <Release version={call.release} /></>}</p>
    </div>
  );
}
