import { defineConfig } from "vite";
import { VitePWA } from "vite-plugin-pwa";
import skewGuard from "skew-guard-client/vite";

const { VERSION, CLIENT, PWA, GUARD } = process.env;

// With the client package, or the same application without it, where nothing does its work.
const half =
  CLIENT === "none"
    ? { resolve: { alias: [{ find: /^skew-guard-client.*/, replacement: "/src/without.js" }] } }
    : { plugins: [skewGuard({ version: VERSION, guard: GUARD ?? "inline" })] };

export default defineConfig({
  ...half,
  plugins: [...(half.plugins ?? []), ...(PWA ? [VitePWA({ registerType: PWA, injectRegister: null })] : [])],
  define: { SHOP_VERSION: JSON.stringify(VERSION), SHOP_PWA: JSON.stringify(Boolean(PWA)) },
});
