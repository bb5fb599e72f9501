import { defineConfig } from "vite";
import { VitePWA } from "vite-plugin-pwa";
import skewGuard from "skew-guard-client/vite";

const { VERSION, CLIENT, PWA, GUARD } = process.env;

// The client's half, and without it the same application: what it would do is done by nobody.
const half =
  CLIENT === "none"
    ? { resolve: { alias: [{ find: /^skew-guard-client.*/, replacement: "/src/without.js" }] } }
    : { plugins: [skewGuard({ version: VERSION, guard: GUARD ?? "inline" })] };

export default defineConfig({
  ...half,
  plugins: [...(half.plugins ?? []), ...(PWA ? [VitePWA({ registerType: PWA, injectRegister: null })] : [])],
  define: { SHOP_VERSION: JSON.stringify(VERSION), SHOP_PWA: JSON.stringify(Boolean(PWA)) },
});
