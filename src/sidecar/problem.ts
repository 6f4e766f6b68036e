import { STATUS_CODES } from "node:http";

/** Answers with an RFC 9457 problem: a status, its title, and a sentence for the person who asked. */
export function answerProblem(
  status: number,
  detail: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const body = { type: "about:blank", title: STATUS_CODES[status] ?? "Error", status, detail };
  return new Response(`${JSON.stringify(body)}\n`, {
    status,
    headers: { "Content-Type": "application/problem+json", ...headers },
  });
}
