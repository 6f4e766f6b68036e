import { postJson } from "../../net/http/post-json.ts";
import type { Secret } from "../../secret.ts";

/** A service that is asked over HTTP in place of a function of the configuration. */
export interface Webhook {
  /** `http` or `https`, without credentials. */
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: Secret])[];
  /** PEM texts of the only roots to trust; those of the program when absent. */
  readonly ca: readonly string[] | undefined;
  /** Milliseconds for an answer. */
  readonly timeoutMs: number;
}

/** Why a webhook gave no answer that counts. `why` continues a sentence that begins with it, and has nothing that it answered. */
export class WebhookFault {
  readonly why: string;

  constructor(why: string) {
    this.why = why;
  }
}

/**
 * Asks a webhook a question that it answers with `{ "allow": true }` or `{ "allow": false }` and status 200.
 * Follows no redirect, uses no proxy, and reads at most 64 KiB.
 */
export async function askWebhook(
  { url, headers, ca, timeoutMs }: Webhook,
  question: Readonly<Record<string, unknown>>,
): Promise<boolean | WebhookFault> {
  const fields = Object.fromEntries(headers.map(([name, value]) => [name, value.reveal()]));
  const body = JSON.stringify(question);
  const posted = await postJson({ url, body, headers: { Accept: "application/json", ...fields }, ca, ms: timeoutMs });
  if (posted.kind === "failed") return new WebhookFault(posted.why);
  if (posted.status !== 200) return new WebhookFault(`answered with ${posted.status}`);
  return readAnswer(posted.body) ?? new WebhookFault('answered with something that is not { "allow": true or false }');
}

function readAnswer(body: string): boolean | undefined {
  try {
    const answer: unknown = JSON.parse(body);
    const allow = typeof answer === "object" && answer !== null && "allow" in answer ? answer.allow : undefined;
    return typeof allow === "boolean" ? allow : undefined;
  } catch {
    return undefined;
  }
}
