import { type Exchanged, postJson } from "../../net/http/exchange.ts";
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
  webhook: Webhook,
  question: Readonly<Record<string, unknown>>,
): Promise<boolean | WebhookFault> {
  const body = await post(webhook, question);
  if (body instanceof WebhookFault) return body;
  return readAnswer(body) ?? new WebhookFault('answered with something that is not { "allow": true or false }');
}

/** Sends facts to a webhook. */
export function postToWebhook({ url, headers, ca, timeoutMs }: Webhook, facts: object): Promise<Exchanged> {
  const fields = Object.fromEntries(headers.map(([name, value]) => [name, value.reveal()]));
  const body = JSON.stringify(facts);
  return postJson({ url, body, headers: fields, ca, ms: timeoutMs });
}

/** The body of the answer. */
async function post(webhook: Webhook, question: Readonly<Record<string, unknown>>): Promise<string | WebhookFault> {
  const posted = await postToWebhook(webhook, question);
  if (posted.kind === "failed") return new WebhookFault(posted.why);
  if (posted.status !== 200) return new WebhookFault(`answered with ${posted.status}`);
  return posted.body.toString();
}

/** What a webhook says of a connection or a request. */
export interface RuleAnswer {
  readonly allow: boolean;
  /** Why not, for people: printable, at most 200 characters. */
  readonly reason?: string;
  /** Milliseconds for which the same question has the same answer. */
  readonly forMs?: number;
}

/** Asks a webhook that decides for a rule: `{ "allow": false, "reason": "…", "for": 60 }`, `for` in seconds. */
export async function askWebhookRule(
  webhook: Webhook,
  question: Readonly<Record<string, unknown>>,
): Promise<RuleAnswer | WebhookFault> {
  const body = await post(webhook, question);
  if (body instanceof WebhookFault) return body;
  return readRuleAnswer(body) ?? new WebhookFault('answered with something that is not { "allow": true or false }');
}

function readRuleAnswer(body: string): RuleAnswer | undefined {
  const answer = readJson(body);
  if (typeof answer !== "object" || answer === null || !("allow" in answer)) return undefined;
  const { allow } = answer;
  const reason = "reason" in answer ? answer.reason : undefined;
  const seconds = "for" in answer ? answer.for : undefined;
  if (typeof allow !== "boolean" || (reason !== undefined && typeof reason !== "string")) return undefined;
  if (seconds !== undefined && (typeof seconds !== "number" || !(seconds >= 0))) return undefined;
  return {
    allow,
    ...(reason !== undefined && { reason: reason.slice(0, MAX_REASON).replaceAll(/[^\x20-\x7e]/g, "?") }),
    ...(seconds !== undefined && { forMs: seconds * 1000 }),
  };
}

const MAX_REASON = 200;

function readAnswer(body: string): boolean | undefined {
  const answer = readJson(body);
  const allow = typeof answer === "object" && answer !== null && "allow" in answer ? answer.allow : undefined;
  return typeof allow === "boolean" ? allow : undefined;
}

function readJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
