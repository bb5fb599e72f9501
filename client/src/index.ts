export type { Options } from "./carrier.js";
export { versioned } from "./carrier.js";
export { install } from "./install.js";
export { isOutdated } from "./outdated.js";
export { recover } from "./recover.js";
export { reload } from "./reload.js";
export { onUpdate, type Update } from "./update.js";
