import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    environment: "jsdom",
    environmentOptions: { jsdom: { url: "https://shop.example.com/cart/7?tab=2", pretendToBeVisual: true } },
    globalSetup: "test/pack.ts",
    include: ["test/**/*.test.ts"],
  },
});
