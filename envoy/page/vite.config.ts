import { fileURLToPath } from "node:url";
import skewGuard from "skew-guard-client/vite";
import { defineConfig } from "vite";

const { VERSION } = process.env;
const major = VERSION?.split(".")[0];

export default defineConfig({
  plugins: [skewGuard({ version: VERSION })],
  // In what the releases differ: what their API calls the cost of an item.
  resolve: { alias: { "#cart": fileURLToPath(new URL(`src/release-${major}/cart.ts`, import.meta.url)) } },
  build: { target: "es2022" },
});
