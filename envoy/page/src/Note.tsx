import { useState } from "react";

const KEY = "note";

/** A field to type into. Nothing leaves the page while something stands here; a reload of the tab keeps it too. */
export function Note() {
  const [note, setNote] = useState(() => sessionStorage.getItem(KEY) ?? "");
  const keep = (note: string) => {
    setNote(note);
    sessionStorage.setItem(KEY, note);
  };
  return (
    <p className="note">
      <label htmlFor="note">A note to the courier</label>
      <input id="note" value={note} onChange={(event) => keep(event.target.value)} autoComplete="off" maxLength={200} />
    </p>
  );
}
