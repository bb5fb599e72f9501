import "skew-guard-client/auto";
import { onUpdate } from "skew-guard-client";

export default defineNuxtPlugin((nuxt) => {
  onUpdate(() => nuxt.callHook("app:manifest:update"));
});
