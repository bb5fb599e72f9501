/** An application that has installed the package. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";

export interface Application {
  folder: string;
  write(files: Record<string, string>): void;
  remove(): void;
}

export function applicationWithPackage(): Application {
  const folder = mkdtempSync(join(tmpdir(), "skew-guard-client-"));
  const modules = join(folder, "node_modules");
  mkdirSync(join(modules, "skew-guard-client"), { recursive: true });
  execFileSync("tar", ["-xzf", inject("archive"), "-C", join(modules, "skew-guard-client"), "--strip-components=1"]);
  for (const name of ["vite", "typescript", "@types"]) symlinkSync(join(process.cwd(), "node_modules", name), join(modules, name));
  const write = (files: Record<string, string>) => {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  };
  write({ "package.json": '{ "type": "module" }' });
  return { folder, write, remove: () => rmSync(folder, { recursive: true }) };
}
