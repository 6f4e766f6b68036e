import { STATUS_CODES } from "node:http";
import type { Hono, MiddlewareHandler } from "hono";
import { formatJson } from "../escape-text.ts";

/** Answers with an RFC 9457 problem: a status, its title, a sentence for the person who asked, and further members. */
export function answerProblem(
  status: number,
  detail: string,
  headers: Readonly<Record<string, string>> = {},
  members: Readonly<Record<string, unknown>> = {},
): Response {
  const body = { type: "about:blank", title: STATUS_CODES[status] ?? "Error", status, detail, ...members };
  return new Response(`${formatJson(body)}\n`, {
    status,
    headers: { "Content-Type": "application/problem+json", ...headers },
  });
}

/** Answers with JSON that can be shown on a terminal, whatever is in it. */
export function answerJson(value: unknown, status = 200): Response {
  return new Response(formatJson(value), { status, headers: { "Content-Type": "application/json" } });
}

/** Answers 405 to every method of a path that no route before it took. */
export function refuseOtherMethods(app: Hono, path: string, allow: string, guard?: MiddlewareHandler): void {
  if (guard !== undefined) app.all(path, guard);
  app.all(path, () => answerProblem(405, `This path knows only ${allow}.`, { Allow: allow }));
}
