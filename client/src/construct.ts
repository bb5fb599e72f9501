type Constructor = abstract new (...args: never[]) => object;
type Name = "Request" | "WebSocket" | "EventSource";

/**
 * Changes what a built-in constructor is given, and sees what it makes. To everyone else it stays the same class:
 * `instanceof`, its constants and classes that extend it.
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
