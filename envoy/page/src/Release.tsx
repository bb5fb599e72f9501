/** A release's mark: a colour, a shape and a number. */
export function Mark({ version }: { version: string | null }) {
  return (
    <span className="mark" data-release={version ?? "none"} aria-hidden="true">
      {version?.split(".")[0] ?? ""}
    </span>
  );
}

export function Release({ version }: { version: string }) {
  return (
    <span className="release">
      <Mark version={version} />
      <b>{version}</b>
    </span>
  );
}
