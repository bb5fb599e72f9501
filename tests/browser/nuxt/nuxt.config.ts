export default defineNuxtConfig({
  compatibilityDate: "2026-01-01",
  telemetry: false,
  ssr: false,
  nitro: { output: { publicDir: process.env.OUT } },
  experimental: { checkOutdatedBuildInterval: false },
  vite: { define: { __SKEW_GUARD_VERSION__: JSON.stringify(process.env.VERSION) } },
});
