// @vitest-environment node
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applicationWithPackage, type Application } from "./package.js";

let application: Application;

beforeAll(() => void (application = applicationWithPackage()));
afterAll(() => application.remove());

/** Compiles the lines with every check, as an application in TypeScript would; returns what the compiler says. */
function compile(lines: string): string {
  application.write({ "main.ts": lines });
  const compiler = join(application.folder, "node_modules/typescript/bin/tsc");
  const options = ["--noEmit", "--strict", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler"];
  try {
    return execFileSync("node", [compiler, ...options, "main.ts"], { cwd: application.folder, encoding: "utf8" });
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

test("an application in TypeScript finds the types", () => {
  const lines = `
    import "skew-guard-client/auto";
    import "skew-guard-client/worker";
    import { install, isOutdated, onUpdate, recover, reload, versioned, type Options, type Update } from "skew-guard-client";
    import skewGuard from "skew-guard-client/vite";
    const options: Options = { version: "1.4.2", origins: ["https://api.example.com"] };
    install(options);
    const stop: () => void = onUpdate((update: Update) => void update);
    const url: string = versioned(new URL("https://shop.example.com/"));
    const left: Promise<boolean> = recover(new Error(url));
    const outdated: boolean = isOutdated(new Response());
    export const plugins = [skewGuard({ version: process.env["VERSION"], guard: "file" })];
    export { left, outdated, stop };
    void reload("/orders");`;
  expect(compile(lines)).toBe("");
}, 60_000);

test("the compiler finds a misspelled word", () => {
  expect(compile('import { install } from "skew-guard-client"; install({ versoin: "1.4.2" });')).toContain("versoin");
}, 60_000);
