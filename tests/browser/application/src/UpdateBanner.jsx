import { useEffect, useState } from "react";
import { onUpdate, reload } from "skew-guard-client";

export function UpdateBanner() {
  const [update, setUpdate] = useState();
  useEffect(() => onUpdate(setUpdate), []);
  if (!update) return null;
  return (
    <p role="alert">
      {update === "required" ? "This page is out of date." : "There is a new version."}{" "}
      <button onClick={() => reload()}>Reload</button>
    </p>
  );
}
