import type { Ip } from "../../address/ip.ts";
import type { Bandwidth } from "../../net/conn/token-buckets.ts";
import type { Lookup, Lookups } from "../../net/dns/resolver.ts";
import type { Failure, FailureDetail } from "../failure.ts";
import type { InsideDemand } from "./inside-demand.ts";
import type { RequestEdits, ResponseEdits } from "./message-edits.ts";

/** Version of the PROXY protocol header: 1 is a line of text, 2 is binary. */
export type ProxyProtocolVersion = 1 | 2;

/** Names of upstreams in the order of a chain; empty for direct. */
export type Via = readonly string[];

/** How connections under an allowing rule are made and used, beside their route. */
export interface Terms {
  /** An operator has to approve each target first. */
  readonly ask?: true;
  readonly sourceAddress?: string;
  /** Plain HTTP goes through tunnels of the upstreams, too, instead of being forwarded by the last one. */
  readonly tunnelHttp?: true;
  /** Demands on the first bytes inside the tunnel; undefined for none. */
  readonly inside?: InsideDemand;
  /** Version of the PROXY protocol header that a directly dialled target gets; undefined for none. */
  readonly proxyProtocol?: ProxyProtocolVersion;
  /** Shared by all connections under the rule, each direction for itself; undefined for no limit. */
  readonly bandwidth?: Bandwidth;
  /** Changes to forwarded requests, and to the responses to them; undefined for none. */
  readonly request?: RequestEdits;
  readonly response?: ResponseEdits;
}

const termFields: Readonly<Record<keyof Terms, true>> = {
  ask: true,
  sourceAddress: true,
  tunnelHttp: true,
  inside: true,
  proxyProtocol: true,
  bandwidth: true,
  request: true,
  response: true,
};
const termNames = Object.keys(termFields) as readonly (keyof Terms)[];

/** What was decided about a target, or about one address of it. */
export type Decision = AllowDecision | DenyDecision;

/** A refusal that was only reported: what it would have said. */
export interface Reported {
  /** Name of the rule that would have refused. */
  readonly rule: string;
  readonly detail: FailureDetail;
}

export interface AllowDecision extends Terms {
  readonly verdict: "allow";
  readonly rule: string;
  /** Why the request would have been refused; undefined when nothing would have refused it. */
  readonly reported?: Reported;
  readonly allowPrivate: boolean;
  /** The rule names this one address, as `192.0.2.1` or with a full-length prefix. A metadata address needs that besides `allowPrivate`. */
  readonly exactAddress?: boolean;
  readonly via: Via;
}

export interface DenyDecision {
  readonly verdict: "deny";
  readonly rule: string;
  readonly detail: "denied_by_rule" | "denied_by_default" | "hook_failed" | "list_unavailable";
  /** What the webhook of the rule says. */
  readonly reason?: string;
}

/** Whether connections under two decisions are made and used alike: they differ at most in the addresses that they open. */
export function isSameUse(a: AllowDecision, b: AllowDecision): boolean {
  if (a === b) return true;
  const { via } = a;
  if (via.length !== b.via.length || via.some((name, index) => name !== b.via[index])) return false;
  return termNames.every((name) => a[name] === b[name]);
}

/**
 * Lets through what `reported` would have refused, as `decision` does otherwise. A rule that only
 * reports must not open more than it would as a rule that denies, but public targets: what the
 * decision opens beyond them, and what it adds to requests, is left out.
 */
export function letThrough(decision: AllowDecision, reported: Reported): AllowDecision {
  const { exactAddress: _, request, ...rest } = decision;
  return { ...rest, allowPrivate: false, reported, ...(request && { request: request.withoutAdded ?? request }) };
}

/** Permission to connect to a target. */
export interface Grant {
  readonly decision: AllowDecision;
  /** The addresses that may be dialled, at least one; undefined when no rule looked at addresses. */
  readonly addresses?: readonly Ip[];
  /** The decision about each address, by its text. All have the same route and use. */
  readonly decisions?: ReadonlyMap<string, AllowDecision>;
  /** The answer for the family that was late, without the addresses that must not be dialled. */
  readonly late?: { readonly family: 4 | 6; readonly answer: Promise<Lookup> };
  /** Some addresses of the name must not be dialled or are unknown, so an upstream must not resolve the name itself. */
  readonly narrowed?: true;
  /** The answer that was judged, when the target was resolved for that. Who asked for the grant releases it. */
  readonly lookups?: Lookups;
  /** The name that has the addresses, when it is not the one that was asked for. */
  readonly foundName?: string;
  /** Milliseconds of `timeouts.connect` that resolving has used. */
  readonly spentMs?: number;
}

/** Why a target is refused, with what was found before. */
export interface Denial {
  readonly ok: false;
  readonly failure: Failure;
  /** The decision that refuses; undefined when none was reached. */
  readonly decision: Decision | undefined;
  readonly foundName?: string;
}

export type Authorization = { readonly ok: true; readonly value: Grant } | Denial;

/** The authorization that follows from a decision alone. */
export function settle(decision: Decision): Authorization {
  return decision.verdict === "allow"
    ? { ok: true, value: { decision } }
    : { ok: false, failure: explainDenial(decision), decision };
}

/** Why a decision does not let the target be dialled. */
export function explainDenial(decision: Decision | undefined): Failure {
  if (decision?.verdict !== "deny") throw new Error("What is not denied has no reason to be");
  const { detail, rule, reason } = decision;
  if (detail === "denied_by_default") return { detail };
  return { detail, note: reason === undefined ? `rule ${rule}` : `rule ${rule}: ${reason}` };
}
