import { clientKey, type ClientPrefix } from "../../address/client-key.ts";
import type { Endpoint } from "../../address/endpoint.ts";
import { type Ip, parseIp } from "../../address/ip.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { TimeLimit } from "../../net/conn/time-limit.ts";
import type { Failure } from "../failure.ts";
import type { AllowDecision } from "../policy/decision.ts";
import { guardAddress, type OwnListeners } from "../policy/guard.ts";
import type { Nat64Prefixes } from "../policy/nat64.ts";
import { isLocalhostName } from "../resolve/resolve-host.ts";

/** What an operator is asked: may this user, or this client where it has no user, connect there? */
export interface ApprovalQuestion {
  readonly user: string | undefined;
  readonly client: Ip;
  /** Who is counted: the user, or the network of the client. */
  readonly holder: string;
  readonly target: Endpoint;
  /** The rule that asks. */
  readonly rule: string;
}

/** What is known of a question. */
export type ApprovalAnswer =
  | { readonly kind: "allowed" }
  /** `forSeconds`: how long it stays denied; undefined for this time only. */
  | { readonly kind: "denied"; readonly forSeconds?: number }
  /** Too many wait already. */
  | { readonly kind: "busy" }
  /** Nobody can answer, because the proxy is leaving. */
  | { readonly kind: "closed" };

/** A place among those who wait for an answer. */
export interface ApprovalPlace {
  readonly kind: "held";
  /** Called once with the answer. Not after `leave`. */
  whenAnswered: ((answer: ApprovalAnswer) => void) | undefined;
  /** Gives the place up. */
  leave(why: "deadline" | "client_gone"): void;
}

/** Where operators are asked. */
export interface Approvals {
  /** The answer when there is one, or a place to wait for it. */
  ask(question: ApprovalQuestion): ApprovalAnswer | ApprovalPlace;
}

/** Whose connection is to be approved, and under which snapshot. */
export interface ApprovalRequest {
  readonly client: Ip;
  readonly user: string | undefined;
  readonly runtime: {
    readonly nat64?: Nat64Prefixes;
    readonly timeouts: { readonly askMs: number };
    readonly limits: { readonly clientPrefix: ClientPrefix };
  };
}

export interface ApprovalMeans {
  readonly own: OwnListeners;
  /** Absent where there is no operator. */
  readonly approvals?: Approvals | undefined;
}

/** Seconds after which another try makes sense when nobody has answered, and when too many wait. */
const RETRY_AFTER_SECONDS = 30;
/** Milliseconds between two looks at whether the client is still there. */
const LOOK_MS = 250;

const loopback = parseIp("127.0.0.1");

/**
 * Asks the operator about a target that a rule lets through only with an approval.
 * Gives the failure when it is not to be; a promise when the answer has to be
 * waited for. Names are not resolved before they are approved: a query for a name
 * can carry data out. Their addresses are judged when they are dialled, and an
 * approval opens no special-purpose address.
 */
export function awaitApproval(
  request: ApprovalRequest,
  target: Endpoint,
  decision: AllowDecision,
  { own, approvals }: ApprovalMeans,
  client: Conn,
): Failure | undefined | Promise<Failure | undefined> {
  const { runtime, user } = request;
  const prohibited = findProhibited(target, decision, { own, nat64: runtime.nat64 });
  if (prohibited !== undefined) return prohibited;
  if (approvals === undefined) return UNANSWERED;
  const holder =
    user === undefined ? `client ${clientKey(request.client, runtime.limits.clientPrefix)}` : `user ${user}`;
  const asked = approvals.ask({ user, client: request.client, holder, target, rule: decision.rule });
  return asked.kind === "held" ? wait(asked, client, runtime.timeouts.askMs) : explain(asked);
}

/** Addresses that no approval opens are not asked for. */
function findProhibited(
  { host, port }: Endpoint,
  decision: AllowDecision,
  means: Parameters<typeof guardAddress>[3],
): Failure | undefined {
  const ip = host.kind === "ip" ? host.ip : isLocalhostName(host.text) ? loopback : undefined;
  return ip && guardAddress(ip, port, { ...decision, allowPrivate: false }, means);
}

function wait(place: ApprovalPlace, client: Conn, ms: number): Promise<Failure | undefined> {
  return new Promise((resolve) => {
    const limit = new TimeLimit(ms, client);
    // A client that is gone may have sent its end and nothing else: it must not keep its place until the deadline.
    const look = setInterval(() => client.ended && limit.end("client_gone"), LOOK_MS);
    const settle = (failure: Failure | undefined): void => {
      clearInterval(look);
      limit.release();
      resolve(failure);
    };
    place.whenAnswered = (answer) => settle(explain(answer));
    limit.whenOver(() => {
      const why = limit.over ?? "deadline";
      place.leave(why);
      settle(why === "deadline" ? UNANSWERED : { detail: "client_gone" });
    });
  });
}

const UNANSWERED: Failure = { detail: "approval_missing", retryAfterSeconds: RETRY_AFTER_SECONDS };

function explain(answer: ApprovalAnswer): Failure | undefined {
  switch (answer.kind) {
    case "allowed":
      return undefined;
    case "denied":
      return {
        detail: "approval_denied",
        ...(answer.forSeconds !== undefined && { retryAfterSeconds: answer.forSeconds }),
      };
    case "busy":
      return { detail: "approvals_full", retryAfterSeconds: RETRY_AFTER_SECONDS };
    case "closed":
      return { detail: "draining" };
    default:
      return answer satisfies never;
  }
}
