// As in Vite's documentation, for a page opened with ?remedy.
if (location.search === "?remedy") addEventListener("vite:preloadError", () => location.reload());

// The functions of skew-guard-client for an application without it.
export const versioned = (url) => url;
export const onUpdate = () => () => {};
export const isOutdated = () => false;
export const recover = async () => false;
export const reload = () => location.reload();
