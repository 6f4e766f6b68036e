import type { Endpoint } from "../../address/endpoint.ts";
import type { Ip } from "../../address/ip.ts";
import type { Resolver } from "../../net/dns.ts";
import { resolveHost } from "../dial/resolve-host.ts";
import type { Failure, FailureDetail } from "../failure.ts";
import type { Runtime } from "../runtime.ts";
import type { HookAnswer, HookFault } from "../hook/call-hook.ts";
import type { HookReport } from "../hook/hook-reporter.ts";
import { askVerdict, askVia } from "./ask-hook.ts";
import { applyVerdict, describeQuery, evaluate, type Evaluation } from "./decide.ts";
import { guardAddress, type OwnListeners } from "./guard.ts";
import type { AllowDecision, Decision, DenyDecision, HookVerdict, Policy, Query, Via } from "./policy.ts";

/** Leave to go to a target. */
export interface Authorized {
  readonly decision: AllowDecision;
  /** All the addresses that the decision holds for, when rules had to look at addresses; at least one. */
  readonly addresses?: readonly Ip[];
  /** Other addresses of the same name were refused, so nobody else may choose which of them to dial. */
  readonly narrowed?: true;
}

export type Authorization =
  { readonly ok: true; readonly value: Authorized } | { readonly ok: false; readonly failure: Failure };

/** What of a session the decision needs, and where it is written down. */
export interface AskingSession {
  readonly client: Ip;
  readonly user: string | undefined;
  readonly runtime: { readonly policy: Policy; readonly timeouts: Pick<Runtime["timeouts"], "connectMs" | "hookMs"> };
  decision: Decision | undefined;
}

/** Whom a decision may take to be asked. */
export interface AuthorizeServices {
  readonly resolver: Resolver;
  readonly own: OwnListeners;
  /** Tells the operator of a function of the configuration that failed. */
  reportHook(report: HookReport): void;
}

/**
 * Decides whether the client of a session may go to `target`. At once when the
 * rules can tell; as a promise when a function or DNS has to be asked.
 *
 * Where a rule with a range meets a name, every address of the name gets a
 * decision of its own, and is dropped where that decision does not let it be
 * dialled. Those that are left and allowed in the same way as the first of them
 * are kept; when none is, the most telling refusal is the answer. A name that
 * does not resolve is refused where the rule could have denied it, and is
 * not matched by a rule that only allows.
 */
export function authorize(
  session: AskingSession,
  target: Endpoint,
  services: AuthorizeServices,
): Authorization | Promise<Authorization> {
  const query: Query = { client: session.client, user: session.user, target };
  const first = evaluate(session.runtime.policy, query);
  if (first.kind === "decided") {
    const { decision } = first;
    session.decision = decision;
    return decision.verdict === "allow" ? permit(decision) : { ok: false, failure: explainDenial(decision) };
  }
  return new Inquiry(session, query, services).run(first).then((finding) => conclude(session, finding));
}

/** What most tunnels are told: one for each decision of a rule, and not for each tunnel. */
const permissions = new WeakMap<AllowDecision, Authorization>();

function permit(decision: AllowDecision): Authorization {
  let permission = permissions.get(decision);
  if (permission === undefined) {
    permission = { ok: true, value: { decision } };
    permissions.set(decision, permission);
  }
  return permission;
}

/** What an inquiry ends with. `failure` says more than the decision does, or takes its place. */
interface Finding {
  readonly decision: Decision | undefined;
  readonly addresses?: readonly Ip[];
  readonly narrowed?: true;
  readonly failure?: Failure;
}

function conclude(session: AskingSession, { decision, failure, addresses, narrowed }: Finding): Authorization {
  session.decision = decision;
  if (failure !== undefined) return { ok: false, failure };
  if (decision === undefined) throw new Error("An inquiry ended with neither a decision nor a failure");
  if (decision.verdict !== "allow") return { ok: false, failure: explainDenial(decision) };
  if (addresses === undefined) return { ok: true, value: { decision } };
  return { ok: true, value: { decision, addresses, ...(narrowed && { narrowed }) } };
}

function explainDenial({ detail, rule }: DenyDecision): Failure {
  return detail === "denied_by_default" ? { detail } : { detail, note: `rule ${rule}` };
}

/** One walk through rules that need answers from elsewhere. Nobody is asked the same thing twice. */
class Inquiry {
  readonly #session: AskingSession;
  readonly #policy: Policy;
  readonly #query: Query;
  readonly #services: AuthorizeServices;
  readonly #verdicts = new Map<number, Promise<HookAnswer<HookVerdict>>>();
  readonly #ways = new Map<number, Promise<HookAnswer<Via>>>();

  constructor(session: AskingSession, query: Query, services: AuthorizeServices) {
    this.#session = session;
    this.#policy = session.runtime.policy;
    this.#query = query;
    this.#services = services;
  }

  async run(first: Evaluation): Promise<Finding> {
    const evaluation = await this.#settle(first, this.#query);
    if (evaluation.kind === "found") return evaluation.finding;
    const resolved = await resolveHost(
      this.#query.target.host,
      this.#services.resolver,
      this.#session.runtime.timeouts.connectMs,
    );
    return resolved.ok
      ? this.#decideEach(resolved.value, evaluation.rule)
      : this.#decideBlindly(resolved.failure, evaluation.rule);
  }

  /** Decides about every address from the rule on that needed it: the rules before it do not depend on the address. */
  async #decideEach(addresses: readonly Ip[], rule: number): Promise<Finding> {
    const kept: Ip[] = [];
    let allowed: AllowDecision | undefined;
    let refused: Refusal | undefined;
    for (const address of addresses) {
      const query = { ...this.#query, address };
      // One after the other, so that functions are asked in the order of the rules.
      const settled = await this.#settle(evaluate(this.#policy, query, rule), query);
      if (settled.kind === "needs_address") throw new Error("A rule asked for an address that it was given");
      const judged = this.#judge(settled.finding, address);
      if ("failure" in judged) {
        refused = moreTelling(refused, judged);
      } else if (allowed === undefined || sameDecision(allowed, judged)) {
        allowed ??= judged;
        kept.push(address);
      }
    }
    if (allowed === undefined) return refused ?? { decision: undefined, failure: { detail: "dns_error" } };
    return { decision: allowed, addresses: kept, ...(kept.length < addresses.length ? { narrowed: true } : {}) };
  }

  /** The decision when it lets the address be dialled, or why not. */
  #judge({ decision, failure }: Finding, address: Ip): AllowDecision | Refusal {
    if (decision?.verdict === "allow") {
      const prohibition = guardAddress(address, this.#query.target.port, decision, this.#services.own);
      return prohibition === undefined ? decision : { decision, failure: prohibition };
    }
    if (decision === undefined) throw new Error("An address was given no decision");
    return { decision, failure: failure ?? explainDenial(decision) };
  }

  /** The name does not resolve: fail closed where a rule could deny, go on where it could only allow. */
  async #decideBlindly(failure: Failure, from: number): Promise<Finding> {
    let rule = from;
    for (;;) {
      const stopped = this.#policy.rules[rule];
      if (stopped === undefined || stopped.verdict.kind !== "allow") {
        const note = `${failure.note ?? "no answer"}, and rule ${stopped?.name ?? ""} needs the address`;
        return { decision: undefined, failure: { ...failure, note } };
      }
      const evaluation = await this.#settle(evaluate(this.#policy, this.#query, rule + 1), this.#query);
      if (evaluation.kind === "found") return evaluation.finding;
      rule = evaluation.rule;
    }
  }

  /** Asks functions until there is a decision, or an address is needed. */
  async #settle(
    start: Evaluation,
    query: Query,
  ): Promise<
    { readonly kind: "found"; readonly finding: Finding } | { readonly kind: "needs_address"; readonly rule: number }
  > {
    let evaluation = start;
    for (;;) {
      switch (evaluation.kind) {
        case "decided":
          return { kind: "found", finding: { decision: evaluation.decision } };
        case "needs_address":
          return evaluation;
        case "ask": {
          const asked = await this.#askVerdict(evaluation);
          if (!asked.ok) return { kind: "found", finding: this.#distrust(evaluation.rule, "", asked.fault) };
          evaluation =
            asked.answer === undefined
              ? evaluate(this.#policy, query, evaluation.rule + 1)
              : { kind: "decided", decision: applyVerdict(this.#policy, evaluation.rule, asked.answer) };
          break;
        }
        case "ask_via": {
          const asked = await this.#askVia(evaluation);
          if (!asked.ok) return { kind: "found", finding: this.#distrust(evaluation.rule, "via of ", asked.fault) };
          evaluation = { kind: "decided", decision: { ...evaluation.decision, via: asked.answer } };
          break;
        }
        default:
          return evaluation satisfies never;
      }
    }
  }

  #askVerdict({ rule, ask }: Extract<Evaluation, { kind: "ask" }>): Promise<HookAnswer<HookVerdict>> {
    let asked = this.#verdicts.get(rule);
    if (asked === undefined) {
      asked = askVerdict(() => ask(describeQuery(this.#query)), this.#session.runtime.timeouts.hookMs);
      this.#verdicts.set(rule, asked);
    }
    return asked;
  }

  #askVia({ rule, ask }: Extract<Evaluation, { kind: "ask_via" }>): Promise<HookAnswer<Via>> {
    let asked = this.#ways.get(rule);
    if (asked === undefined) {
      asked = askVia(() => ask(describeQuery(this.#query)), this.#session.runtime.timeouts.hookMs);
      this.#ways.set(rule, asked);
    }
    return asked;
  }

  /** The client learns that a function failed, the operator also with what. */
  #distrust(rule: number, part: string, fault: HookFault): Finding {
    const name = this.#policy.rules[rule]?.name ?? "";
    this.#services.reportHook({ hook: `${part}rule ${name}`, fault });
    return {
      decision: { verdict: "deny", rule: name, detail: "hook_failed" },
      failure: { detail: "hook_failed", note: `rule ${name} ${fault.why}` },
    };
  }
}

/** A finding that ends the inquiry about one address. */
type Refusal = Finding & { readonly failure: Failure };

/** What an operator wrote down comes before what holds anyway. */
const telling: readonly FailureDetail[] = [
  "proxy_loop",
  "denied_by_rule",
  "hook_failed",
  "address_prohibited",
  "denied_by_default",
];

/** Picks the refusal to tell of when several addresses were refused: the first of the most telling kind. */
function moreTelling(known: Refusal | undefined, next: Refusal): Refusal {
  if (known === undefined) return next;
  return telling.indexOf(next.failure.detail) < telling.indexOf(known.failure.detail) ? next : known;
}

function sameDecision(a: AllowDecision, b: AllowDecision): boolean {
  return (
    a.rule === b.rule &&
    a.allowPrivate === b.allowPrivate &&
    a.exactAddress === b.exactAddress &&
    a.sourceAddress === b.sourceAddress &&
    a.via.length === b.via.length &&
    a.via.every((name, index) => name === b.via[index])
  );
}
