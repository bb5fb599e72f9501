import { versioned } from "./carrier.js";

export function patchBeacon(): void {
  const prototype = globalThis.Navigator?.prototype;
  const native = prototype?.sendBeacon;
  if (!native) return;
  prototype.sendBeacon = function (url, ...data) {
    return native.call(this, versioned(url), ...data);
  };
}
