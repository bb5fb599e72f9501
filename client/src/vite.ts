import { createHash } from "node:crypto";
import type { HtmlTagDescriptor, Plugin, ResolvedConfig } from "vite";
import { guardText } from "./guard.js";
import { isVersion } from "./version.js";

/** The options of the plugin. */
export interface BuildOptions {
  /** The version of this build. A build without one fails. */
  version: string | undefined;
  /**
   * Where the guard of the entry script goes: into the page (`inline`), into a separate file if the content security
   * policy allows no inline scripts (`file`), or nowhere (`false`).
   */
  guard?: "inline" | "file" | false;
  /** What a page says if its script could not be loaded. */
  sentence?: string;
  /** The text of the link that reloads it. */
  again?: string;
}

const FILE = "skew-guard.js";

/** One version for everything in a build: the directory of its assets, and the constant that the client reads. */
export default function skewGuard({
  version,
  guard = "inline",
  sentence = "This page could not be loaded completely.",
  again = "Load it again",
}: BuildOptions): Plugin {
  const text = guardText(sentence, again);
  let resolved: ResolvedConfig;
  return {
    name: "skew-guard-client",
    config(config, { command }) {
      if (command === "serve") return { define: constant("") };
      if (!isVersion(version)) throw new Error(`skew-guard-client: "${version}" is no version; set it for the build`);
      const directory = config.build?.assetsDir ?? "assets";
      return { build: { assetsDir: `${directory}/v-${version}` }, define: constant(version) };
    },
    configResolved(config) {
      resolved = config;
    },
    transformIndexHtml() {
      return resolved.command === "build" && guard ? [tag(guard, text, resolved.base)] : [];
    },
    generateBundle() {
      if (guard === "file") this.emitFile({ type: "asset", fileName: FILE, source: text });
      if (guard === "inline") resolved.logger.info(`skew-guard-client: Content-Security-Policy: script-src '${hash(text)}'`);
    },
  };
}

function constant(version: string): Record<string, string> {
  return { __SKEW_GUARD_VERSION__: JSON.stringify(version) };
}

function tag(guard: "inline" | "file", text: string, base: string): HtmlTagDescriptor {
  const script = { tag: "script", injectTo: "head-prepend" } as const;
  return guard === "inline" ? { ...script, children: text } : { ...script, attrs: { src: base + FILE } };
}

function hash(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}
