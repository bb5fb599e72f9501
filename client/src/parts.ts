/** The messages of Chromium, Firefox, Safari, Vite, and webpack and Turbopack, in this order. */
const WORDS = /dynamically imported|importing a module|preload css|load(ing)?( css)? chunk/i;

/** Whether the error says that a part of the application could not be loaded. */
export function isLoadError(error: unknown): boolean {
  return error instanceof Error && WORDS.test(error.message);
}
