/** The release that this page was built as: the constant that the client's Vite plugin sets. */
declare const __SKEW_GUARD_VERSION__: string;

export const version = __SKEW_GUARD_VERSION__;
