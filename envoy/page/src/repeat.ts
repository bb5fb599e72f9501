import { useEffect, useRef } from "react";

/** Does something again and again, with a pause in between, while the page is visible. */
export function useRepeat(act: () => Promise<void>, pause: number, active = true): void {
  const latest = useRef(act);
  latest.current = act;
  useEffect(() => {
    if (!active) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let stopped = false;
    let running = false;
    const next = () => {
      clearTimeout(timer);
      if (!stopped && document.visibilityState === "visible") timer = setTimeout(() => void turn(), pause);
    };
    const turn = async () => {
      if (running || stopped) return;
      running = true;
      await latest.current();
      running = false;
      next();
    };
    document.addEventListener("visibilitychange", next);
    void turn();
    return () => {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", next);
    };
  }, [pause, active]);
}
