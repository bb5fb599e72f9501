// @vitest-environment node
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build, createLogger, type Plugin } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { BuildOptions } from "../src/vite.js";
import { applicationWithPackage, type Application } from "./package.js";

let application: Application;
let skewGuard: (options: BuildOptions) => Plugin;

beforeAll(async () => {
  application = applicationWithPackage();
  application.write({
    "index.html": '<!doctype html><title>Shop</title><script type="module" src="/main.js"></script>',
    "main.js": 'import "skew-guard-client/auto"; import("./part.js");',
    "part.js": 'export const part = "a part";',
  });
  const plugin = join(application.folder, "node_modules/skew-guard-client/dist/vite.js");
  skewGuard = (await import(pathToFileURL(plugin).href)).default;
}, 60_000);

afterAll(() => application.remove());

/** The built page, the names of its assets, their code, and what was printed. */
async function built(options: BuildOptions, base = "/", assetsDir?: string) {
  const printed: string[] = [];
  const logger = { ...createLogger("silent"), info: (line: string) => void printed.push(line) };
  await build({
    root: application.folder,
    base,
    customLogger: logger,
    plugins: [skewGuard(options)],
    build: { emptyOutDir: true, ...(assetsDir && { assetsDir }) },
  });
  const out = join(application.folder, "dist");
  const files = readdirSync(out, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
  const names = files.map((file) => join(file.parentPath, file.name).slice(out.length + 1));
  const read = (name: string) => readFileSync(join(out, name), "utf8");
  return {
    page: read("index.html"),
    names,
    read,
    code: names.filter((name) => name.endsWith(".js")).map(read).join(""),
    printed: printed.join("\n"),
  };
}

test("all scripts lie in the directory of the version, and know it", async () => {
  const { page, names, code } = await built({ version: "1.4.2" });
  const assets = names.filter((name) => name !== "index.html");
  expect(assets.length).toBeGreaterThan(1);
  expect(assets.filter((name) => !name.startsWith("assets/v-1.4.2/"))).toEqual([]);
  expect(page).toMatch(/src="\/assets\/v-1\.4\.2\/[^"]+\.js"/);
  expect(code).toMatch(/["`']1\.4\.2["`']/);
  expect(code).not.toContain("__SKEW_GUARD_VERSION__");
});

test("an application's own directory of assets gets the version too", async () => {
  const { names } = await built({ version: "1.4.2" }, "/", "static");
  expect(names.some((name) => name.startsWith("static/v-1.4.2/"))).toBe(true);
});

test.each([undefined, "", "undefined", "null", "a b"])("a build with the version %s fails", async (version) => {
  await expect(built({ version })).rejects.toThrow(`skew-guard-client: "${version}" is no version`);
});

test("the guard comes first in the head, and its hash is printed", async () => {
  const { page, printed } = await built({ version: "1.4.2" });
  const guard = /<head>\s*<script>(.*?)<\/script>/s.exec(page)?.[1] ?? /<script>(.*?)<\/script>/s.exec(page)?.[1] ?? "";
  expect(page.indexOf(guard)).toBeLessThan(page.indexOf("<title>"));
  const hash = createHash("sha256").update(guard).digest("base64");
  expect(printed).toContain(`script-src 'sha256-${hash}'`);
});

test("the guard is the same in every release, so one policy allows it", async () => {
  const guard = ({ page }: { page: string }) => /<script>(.*?)<\/script>/s.exec(page)?.[1];
  expect(guard(await built({ version: "1.4.2" }))).toBe(guard(await built({ version: "2.0.0" })));
});

test("the guard can be a file of no version", async () => {
  const { page, names, read } = await built({ version: "1.4.2", guard: "file" }, "/shop/");
  expect(names).toContain("skew-guard.js");
  expect(page).toContain('src="/shop/skew-guard.js"');
  expect(page).not.toContain("sessionStorage");
  expect(read("skew-guard.js")).toContain("sessionStorage");
});

test("the guard can be left out", async () => {
  const { page, names } = await built({ version: "1.4.2", guard: false });
  expect([page.includes("sessionStorage"), names.includes("skew-guard.js")]).toEqual([false, false]);
});

test("the guard's message can be translated, and cannot end the script", async () => {
  const { page } = await built({ version: "1.4.2", sentence: "Bitte </script> neu laden.", again: "Neu laden" });
  expect(page).toContain("Bitte \\u003c/script> neu laden.");
});
