import { sveltekit } from "@sveltejs/kit/vite";
import { defineConfig } from "vite";
import skewGuard from "skew-guard-client/vite";

export default defineConfig({
  plugins: [sveltekit(), skewGuard({ version: process.env.VERSION, guard: false })],
});
