import adapter from "@sveltejs/adapter-static";

export default {
  kit: {
    adapter: adapter({ pages: process.env.OUT, fallback: "index.html" }),
    appDir: "assets/v-" + process.env.VERSION,
    // The twin, without the client.
    files: { hooks: { client: process.env.CLIENT === "none" ? "src/without" : "src/hooks.client" } },
    version: { name: process.env.VERSION },
  },
};
