import type { Ip } from "../../address/ip.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { type Lookup, type Lookups, NOT_FOUND } from "../../net/dns/resolver.ts";
import { explainLookups, gather, type Gathered, listAddresses, lookUpName } from "../resolve/resolve-host.ts";
import type { Failure } from "../failure.ts";
import type { HookAnswer, HookFault } from "../hook/call-hook.ts";
import { askVerdict, askVia } from "./ask-hook.ts";
import type { AccessRequest, AuthorizeServices } from "./authorize.ts";
import { CandidateList, type Judged } from "./candidate-list.ts";
import { guardAddress } from "../policy/guard.ts";
import { type Nat64Prefixes, WELL_KNOWN_PREFIX } from "../policy/nat64.ts";
import type { Evaluation, HookVerdict, Policy, Query } from "../policy/policy.ts";
import { TimeLimit } from "../../net/conn/time-limit.ts";
import type { Decision, Grant, Via } from "../policy/decision.ts";
import { explainDenial } from "../policy/decision.ts";
import { applyVerdict, describeQuery, evaluate, evaluateAddress } from "../policy/evaluate.ts";

/** What an inquiry ends with. `failure` says more than the decision does, or takes its place. */
export interface Finding extends Omit<Grant, "decision"> {
  readonly decision: Decision | undefined;
  readonly failure?: Failure;
}

type Settled =
  { readonly kind: "found"; readonly finding: Finding } | { readonly kind: "needs_address"; readonly rule: number };

function foundBy(decision: Decision): Settled {
  return { kind: "found", finding: { decision } };
}

/** One walk through rules that need answers from elsewhere. Nobody is asked the same thing twice. */
export class Inquiry {
  readonly #request: AccessRequest;
  readonly #policy: Policy;
  readonly #nat64: Nat64Prefixes;
  readonly #query: Query;
  readonly #services: AuthorizeServices;
  readonly #client: Conn | undefined;
  readonly #verdicts = new Map<number, Promise<HookAnswer<HookVerdict>>>();
  readonly #ways = new Map<number, Promise<HookAnswer<Via>>>();
  #spentMs = 0;

  constructor(request: AccessRequest, query: Query, services: AuthorizeServices, client: Conn | undefined) {
    this.#request = request;
    this.#policy = request.runtime.policy;
    this.#nat64 = request.runtime.nat64 ?? WELL_KNOWN_PREFIX;
    this.#query = query;
    this.#services = services;
    this.#client = client;
  }

  async run(first: Evaluation): Promise<Finding> {
    const settled = await this.#settle(first, this.#query);
    if (settled.kind === "found") return settled.finding;
    const { host } = this.#query.target;
    if (host.kind === "ip") throw new Error("A rule asked for the address of an address");
    const lookups = lookUpName(host, this.#services.resolver, this.#request.client);
    const limit = new TimeLimit(this.#measureTime(settled.rule), this.#client);
    const finding = await this.#resolve(lookups, settled.rule, limit);
    limit.release();
    if (finding.lookups === undefined) lookups.release();
    return { ...finding, spentMs: this.#spentMs };
  }

  /**
   * What is left of the time for connecting when nothing comes has to do for an upstream, which may know the
   * name. Where the rule that stopped could deny there is no going on, and all of the time is for the name.
   */
  #measureTime(rule: number): number {
    const { timeouts, upstreams, environment } = this.#request.runtime;
    if (this.#policy.rules[rule]?.verdict.kind !== "allow") return timeouts.connectMs;
    const mayLeave = environment !== undefined || (upstreams !== undefined && upstreams.size > 0);
    return mayLeave ? timeouts.connectMs / 2 : timeouts.connectMs;
  }

  /** Waits for a name, at the cost of the time for connecting. */
  async #wait<T>(answer: Promise<T>, limit: TimeLimit): Promise<T> {
    const before = limit.remainingMs;
    const value = await answer;
    this.#spentMs += before - limit.remainingMs;
    return value;
  }

  /** Goes on from the rule that needed it with the name that was found, and if that is not enough with its addresses. */
  async #resolve(lookups: Lookups, rule: number, limit: TimeLimit): Promise<Finding> {
    const named = await this.#wait(gather(lookups, limit, 0), limit);
    const name = findName(named.answers);
    if (name === undefined) return this.#decideWithout(named, rule, limit);
    const query = withName(this.#query, name);
    const more = query.foundName === undefined ? {} : { foundName: name };
    const settled = await this.#settle(evaluate(this.#policy, query, rule), query);
    if (settled.kind === "found") return { ...settled.finding, ...more, lookups };
    const gathered = await this.#wait(gather(lookups, limit), limit);
    const finding = await this.#decideEach(gathered, settled.rule, query, limit);
    return { ...finding, ...more, ...(finding.late && { lookups }) };
  }

  /** Decides about every address from the rule on that needed it: the rules before it do not depend on the address. */
  async #decideEach({ answers, missing }: Gathered, rule: number, query: Query, limit: TimeLimit): Promise<Finding> {
    const candidates = new CandidateList();
    await this.#judgeAll(candidates, listAddresses(answers), rule, query);
    if (missing === undefined) {
      const unsure = answers.some((answer) => !answer.ok && answer.note !== NOT_FOUND);
      return candidates.conclude(unsure);
    }
    if (candidates.isEmpty) {
      const late = await this.#wait(waitWithin(missing.answer, limit), limit);
      if (late?.ok === true) await this.#judgeAll(candidates, late.addresses, rule, query);
      return candidates.conclude(late?.ok !== true);
    }
    const answer = missing.answer.then((lookup) => this.#judgeLate(candidates, lookup, rule, query));
    return { ...candidates.conclude(true), late: { family: missing.family, answer } };
  }

  /** One after the other, so that functions are asked in the order of the rules. */
  async #judgeAll(candidates: CandidateList, addresses: readonly Ip[], rule: number, query: Query): Promise<void> {
    for (const address of addresses) {
      const one = { ...query, address };
      const settled = await this.#settle(evaluateAddress(this.#policy, one, this.#nat64, rule), one);
      if (settled.kind === "needs_address") throw new Error("A rule asked for an address that it was given");
      candidates.add(address, this.#judge(settled.finding, address));
    }
  }

  async #judgeLate(candidates: CandidateList, lookup: Lookup, rule: number, query: Query): Promise<Lookup> {
    if (!lookup.ok) return lookup;
    await this.#judgeAll(candidates, lookup.addresses, rule, query);
    const addresses = lookup.addresses.filter((ip) => candidates.has(ip));
    return addresses.length > 0 ? { ...lookup, addresses } : { ok: false, detail: "dns_error", note: NOT_FOUND };
  }

  /** The decision when it lets the address be dialled, or why not. */
  #judge({ decision, failure }: Finding, address: Ip): Judged {
    if (decision?.verdict === "allow") {
      const { port } = this.#query.target;
      const prohibition = guardAddress(address, port, decision, this.#services.own, this.#nat64);
      return prohibition === undefined ? decision : { decision, failure: prohibition };
    }
    return { decision, failure: failure ?? explainDenial(decision) };
  }

  /** There are no addresses: what rules could say about another name does not matter when it is sure that there is none. */
  #decideWithout({ answers }: Gathered, rule: number, limit: TimeLimit): Promise<Finding> | Finding {
    if (limit.over === "client_gone") return { decision: undefined, failure: { detail: "client_gone" } };
    const failure: Failure = limit.over === "deadline" ? { detail: "dns_timeout" } : explainLookups(answers);
    if (failure.note !== NOT_FOUND || this.#query.mayBeCompleted !== true)
      return this.#decideBlindly(failure, rule, this.#query);
    const query: Query = { ...this.#query, mayBeCompleted: false };
    return this.#settle(evaluate(this.#policy, query, rule), query).then((settled) =>
      settled.kind === "found" ? settled.finding : this.#decideBlindly(failure, settled.rule, query),
    );
  }

  /** The name does not resolve: fail closed where a rule could deny, go on where it could only allow. */
  async #decideBlindly(failure: Failure, from: number, query: Query): Promise<Finding> {
    let rule = from;
    for (;;) {
      const stopped = this.#policy.rules[rule];
      if (stopped === undefined || stopped.verdict.kind !== "allow") {
        const note = `${failure.note ?? "no answer"}, and rule ${stopped?.name ?? ""} needs the address`;
        return { decision: undefined, failure: { ...failure, note } };
      }
      const settled = await this.#settle(evaluate(this.#policy, query, rule + 1), query);
      if (settled.kind === "found") return settled.finding;
      rule = settled.rule;
    }
  }

  /** Asks functions until there is a decision, or an address is needed. */
  async #settle(start: Evaluation, query: Query): Promise<Settled> {
    let evaluation = start;
    for (;;) {
      switch (evaluation.kind) {
        case "decided":
          return foundBy(evaluation.decision);
        case "needs_address":
          return evaluation;
        case "ask": {
          const asked = await this.#askVerdict(evaluation);
          if (!asked.ok) return { kind: "found", finding: this.#distrust(evaluation.rule, "", asked.fault) };
          if (asked.answer !== undefined) return foundBy(applyVerdict(this.#policy, evaluation.rule, asked.answer));
          evaluation = evaluateAddress(this.#policy, query, this.#nat64, evaluation.rule + 1);
          break;
        }
        case "ask_via": {
          const asked = await this.#askVia(evaluation);
          if (!asked.ok) return { kind: "found", finding: this.#distrust(evaluation.rule, "via of ", asked.fault) };
          return foundBy({ ...evaluation.decision, via: asked.answer });
        }
        default:
          return evaluation satisfies never;
      }
    }
  }

  #askVerdict({ rule, ask }: Extract<Evaluation, { kind: "ask" }>): Promise<HookAnswer<HookVerdict>> {
    let asked = this.#verdicts.get(rule);
    if (asked === undefined) {
      asked = askVerdict(() => ask(describeQuery(this.#query)), this.#request.runtime.timeouts.hookMs);
      this.#verdicts.set(rule, asked);
    }
    return asked;
  }

  #askVia({ rule, ask }: Extract<Evaluation, { kind: "ask_via" }>): Promise<HookAnswer<Via>> {
    let asked = this.#ways.get(rule);
    if (asked === undefined) {
      asked = askVia(() => ask(describeQuery(this.#query)), this.#request.runtime.timeouts.hookMs);
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

/** The answer, unless the limit is over before. */
function waitWithin(answer: Promise<Lookup>, limit: TimeLimit): Promise<Lookup | undefined> {
  return new Promise((resolve) => {
    void answer.then((lookup) => {
      limit.forget();
      resolve(lookup);
    });
    limit.whenOver(() => resolve(undefined));
  });
}

function findName(answers: readonly Lookup[]): string | undefined {
  for (const answer of answers) if (answer.ok) return answer.name;
  return undefined;
}

/** Adds the name that was found to a query. */
export function withName(query: Query, name: string): Query {
  const found: Query = { ...query, mayBeCompleted: false };
  return name === query.target.host.text ? found : { ...found, foundName: { kind: "name", text: name } };
}
