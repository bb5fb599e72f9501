import { useState } from "react";

const KEY = "note";

/** A field to type into. While it contains text the client does not leave the page by itself; a reload keeps the text too. */
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
