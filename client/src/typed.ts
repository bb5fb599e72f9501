const fields = new Set<Element>();

/** Remembers the fields that are typed into. */
export function watchTyping(): void {
  addEventListener("input", (event) => fields.add(event.composedPath()[0] as Element), true);
}

/** Whether the page shows anything that a person typed or chose, and that would be lost. */
export function isTyped(): boolean {
  for (const field of fields) {
    if (!field.isConnected) fields.delete(field);
    else if ((field as HTMLInputElement).value ?? field.textContent) return true;
  }
  return false;
}
