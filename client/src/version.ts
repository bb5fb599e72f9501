declare const __SKEW_GUARD_VERSION__: string;

/** A token that names a release. What a build writes when it forgot its variable is none. */
const VERSION = /^(?!(undefined|null|nan|none|unknown|true|false)$)[a-z\d][\w.+-]{0,63}$/i;

/** Whether the filter would take this as a version. */
export function isVersion(text: unknown): text is string {
  return typeof text === "string" && VERSION.test(text);
}

/**
 * The version that the build wrote down: the constant of a bundler, else `<meta name="app-version">`. An empty one says
 * that this is no build but a development server.
 */
export function builtVersion(): string | undefined {
  if (typeof __SKEW_GUARD_VERSION__ !== "undefined") return __SKEW_GUARD_VERSION__;
  return globalThis.document?.querySelector<HTMLMetaElement>('meta[name="app-version"]')?.content;
}
