import type { Ip } from "../../address/ip.ts";
import type { Failure, FailureDetail } from "../failure.ts";
import { type AllowDecision, type Decision, type Grant, isSameUse } from "../policy/decision.ts";

/** What an inquiry ends with. `failure` says more than the decision does, or takes its place. */
export interface Finding extends Omit<Grant, "decision"> {
  readonly decision: Decision | undefined;
  readonly failure?: Failure;
}

/** A finding that refuses an address. */
export type Refusal = Finding & { readonly failure: Failure };

/** What was decided about an address. */
export type Judged = AllowDecision | Refusal;

/** The addresses of a name that may be dialled: the first one, and those with the same route and use. */
export class CandidateList {
  readonly #decisions = new Map<string, AllowDecision>();
  readonly #kept: Ip[] = [];
  #first: AllowDecision | undefined;
  #refused: Refusal | undefined;
  #dropped = false;

  get isEmpty(): boolean {
    return this.#first === undefined;
  }

  has(ip: Ip): boolean {
    return this.#decisions.has(ip.text);
  }

  add(ip: Ip, judged: Judged): void {
    if ("failure" in judged) {
      this.#refused = moreTelling(this.#refused, judged);
      this.#dropped = true;
    } else if (this.#first === undefined || isSameUse(this.#first, judged)) {
      this.#first ??= judged;
      this.#decisions.set(ip.text, judged);
      this.#kept.push(ip);
    } else this.#dropped = true;
  }

  /** `unsure` when the name may have other addresses. */
  conclude(unsure: boolean): Finding {
    if (this.#first === undefined) return this.#refused ?? { decision: undefined, failure: { detail: "dns_error" } };
    return {
      decision: this.#first,
      addresses: [...this.#kept],
      decisions: this.#decisions,
      ...((unsure || this.#dropped) && { narrowed: true as const }),
    };
  }
}

/** What the operator wrote comes before what holds without rules. */
const telling: readonly FailureDetail[] = [
  "proxy_loop",
  "denied_by_rule",
  "list_unavailable",
  "hook_failed",
  "address_prohibited",
  "denied_by_default",
];

/** Picks the refusal to report when several addresses were refused: the first of the most telling kind. */
function moreTelling(known: Refusal | undefined, next: Refusal): Refusal {
  if (known === undefined) return next;
  return telling.indexOf(next.failure.detail) < telling.indexOf(known.failure.detail) ? next : known;
}
