// @vitest-environment node
import { gzipSync } from "node:zlib";
import { build, type Rollup } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applicationWithPackage, type Application } from "./package.js";

let application: Application;

beforeAll(() => {
  application = applicationWithPackage();
}, 60_000);

afterAll(() => application.remove());

/** How many more bytes a page loads with these lines, compressed as servers send them. */
async function size(lines: string): Promise<number> {
  application.write({ "main.js": lines });
  const built = await build({
    root: application.folder,
    logLevel: "error",
    build: {
      write: false,
      modulePreload: false,
      rollupOptions: { input: `${application.folder}/main.js`, preserveEntrySignatures: "strict" },
    },
  });
  const code = (built as Rollup.RollupOutput).output.map((file) => (file.type === "chunk" ? file.code : "")).join("");
  return gzipSync(code).length;
}

test("a page that uses all of it loads at most 3 KiB more", async () => {
  const bytes = await size('import "skew-guard-client/auto"; export * from "skew-guard-client";');
  console.log(`all of it: ${bytes} bytes`);
  expect(bytes).toBeLessThanOrEqual(3 * 1024);
});

test("a page that uses only one function loads no more than that needs", async () => {
  const bytes = await size('export { isOutdated } from "skew-guard-client";');
  console.log(`isOutdated alone: ${bytes} bytes`);
  expect(bytes).toBeLessThanOrEqual(300);
});
