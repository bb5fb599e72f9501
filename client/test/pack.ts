/** Packs the package once, as it would be published. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    archive: string;
  }
}

export default function pack(project: TestProject): () => void {
  const shelf = mkdtempSync(join(tmpdir(), "skew-guard-client-"));
  const printed = execFileSync("npm", ["pack", "--silent", "--pack-destination", shelf], { encoding: "utf8" });
  project.provide("archive", join(shelf, printed.trim().split("\n").at(-1) ?? ""));
  return () => rmSync(shelf, { recursive: true });
}
