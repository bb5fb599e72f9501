declare const __SKEW_GUARD_VERSION__: string;

/** A token that names a release. What a build writes for an unset variable does not count. */
const VERSION = /^(?!(undefined|null|nan|none|unknown|true|false)$)[a-z\d][\w.+-]{0,63}$/i;

/** Whether the filter would take this as a version. */
export function isVersion(text: unknown): text is string {
  return typeof text === "string" && VERSION.test(text);
}

/**
 * The version that the build wrote: a bundler's constant, or `<meta name="app-version">`. An empty one means that this
 * is not a build but a development server.
 */
export function builtVersion(): string | undefined {
  if (typeof __SKEW_GUARD_VERSION__ !== "undefined") return __SKEW_GUARD_VERSION__;
  return globalThis.document?.querySelector<HTMLMetaElement>('meta[name="app-version"]')?.content;
}
