// As Vite's documentation has it, for the page that is opened with ?remedy.
if (location.search === "?remedy") addEventListener("vite:preloadError", () => location.reload());

// The functions of skew-guard-client for an application that does without it.
export const versioned = (url) => url;
export const onUpdate = () => () => {};
export const isOutdated = () => false;
export const recover = async () => false;
export const reload = () => location.reload();
