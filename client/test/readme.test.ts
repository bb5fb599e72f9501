// @vitest-environment node
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { build, createServer } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applicationWithPackage, type Application } from "./package.js";

/** The applications that `make test-browser` runs. */
const TRIED = ["application/src", "angular", "next", "nuxt", "sveltekit"].map((folder) => join("../tests/browser", folder));

const readme = readFileSync("README.md", "utf8");
const snippets = [...readme.matchAll(/^```(jsx?)\n(.*?)^```/gms)].map(([, language = "", text = ""]) => ({ language, text }));

let application: Application;

beforeAll(() => void (application = applicationWithPackage()));
afterAll(() => application.remove());

/** The file that a snippet names in its first line, and its text. */
function named(text: string): { name: string; code: string } | undefined {
  const [, name, code] = /^\/\/ (\S+)\n(.*)$/s.exec(text) ?? [];
  return name && code ? { name, code: code.trim() } : undefined;
}

const inFiles = snippets.map(({ text }) => named(text)).filter((file) => file !== undefined);

test.each(inFiles.filter(({ name }) => name !== "vite.config.js"))("$name is what runs in a browser", ({ name, code }) => {
  const file = TRIED.map((folder) => join(folder, name)).find(existsSync) ?? name;
  expect(readFileSync(file, "utf8")).toContain(code);
});

test("vite.config.js and the first line make a build that says its version", async () => {
  const config = inFiles.find(({ name }) => name === "vite.config.js")?.code ?? "";
  const [first] = snippets;
  application.write({
    "vite.config.js": config,
    "index.html": '<script type="module" src="/main.js"></script>',
    "main.js": first?.text ?? "",
  });
  process.env["VERSION"] = "1.4.2";
  const options = { root: application.folder, logLevel: "silent" as const };
  await build(options);
  delete process.env["VERSION"];
  const assets = join(application.folder, "dist/assets/v-1.4.2");
  expect(existsSync(assets)).toBe(true);
  expect(readdirSync(assets).map((name) => readFileSync(join(assets, name), "utf8")).join()).toContain("1.4.2");
  await expect(build(options)).rejects.toThrow("is no version");
  const server = await createServer(options);
  expect(server.config.define).toEqual({ __SKEW_GUARD_VERSION__: '""' });
  await server.close();
});

test("every other piece of code compiles", async () => {
  const others = snippets.filter(({ text }) => !named(text));
  expect(others.length).toBeGreaterThan(2);
  const before = 'import { versioned } from "skew-guard-client"; void versioned;\n';
  const html = (name: string) => `<script type="module" src="/${name}"></script>`;
  const files = others.map(({ language, text }, index) => ({ name: `snippet-${index}.${language}`, text }));
  const code = ({ name, text }: { name: string; text: string }) => [name, name.endsWith("x") ? `${before}export default ${text}` : text];
  application.write(Object.fromEntries(files.map(code)));
  application.write({ "index.html": files.map(({ name }) => html(name)).join("\n") });
  await build({
    root: application.folder,
    configFile: false,
    logLevel: "silent",
    build: { write: false, rollupOptions: { external: /^react/ } },
  });
});
