type Constructor = abstract new (...args: never[]) => object;
type Name = "Request" | "WebSocket" | "EventSource";

/**
 * Changes the arguments of a built-in constructor, and sees what it creates. Otherwise the class stays the same:
 * `instanceof`, its constants and classes that extend it keep working.
 */
export function onConstruct(
  name: Name,
  change: (url: unknown, options: unknown) => unknown,
  seen?: (made: never) => void,
): void {
  const scope = globalThis as unknown as Record<Name, Constructor | undefined>;
  const native = scope[name];
  if (!native) return;
  scope[name] = new Proxy(native, {
    construct(target, [url, ...rest], newTarget) {
      const made: object = Reflect.construct(target, [change(url, rest[0]), ...rest], newTarget);
      seen?.(made as never);
      return made;
    },
  });
}
