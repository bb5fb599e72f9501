import { updateOf } from "./update.js";

/** What a `Response` and the errors of common HTTP clients share. */
interface Answer {
  headers?: { get?: (name: string) => unknown } & Record<string, unknown>;
  response?: Answer;
  cause?: Answer;
}

/**
 * Whether the answer, or the answer that the error is about (its `response` or its `cause`), says that the page's
 * release is gone: asking again would get the same answer.
 */
export function isOutdated(errorOrResponse: unknown): boolean {
  const thing = errorOrResponse as Answer | null | undefined;
  return [thing, thing?.response, thing?.cause, thing?.cause?.response].some(tellsSo);
}

function tellsSo(answer: Answer | null | undefined): boolean {
  const headers = answer?.headers;
  const valueOf = (name: string) => (headers?.get ? headers.get(name) : headers?.[name]) as string;
  return updateOf(valueOf) === "required";
}
