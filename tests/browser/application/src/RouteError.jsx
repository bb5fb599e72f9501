import { useEffect, useState } from "react";
import { useRouteError } from "react-router";
import { recover, reload } from "skew-guard-client";

export function RouteError() {
  const error = useRouteError();
  const [leaving, setLeaving] = useState(true);
  useEffect(() => void recover(error).then(setLeaving), [error]);
  if (leaving) return null;
  return (
    <p role="alert">
      This part could not be loaded. <button onClick={() => reload()}>Try again</button>
    </p>
  );
}
