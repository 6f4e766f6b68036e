import type { Ip } from "../../address/ip.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { TimeLimit } from "../../net/conn/time-limit.ts";
import { type Lookup, type Lookups, NOT_FOUND, type Resolver } from "../../net/dns/resolver.ts";
import type { Failure } from "../failure.ts";
import type { HookAnswer, HookFault, HookReport } from "../hook/call-hook.ts";
import type { UserParameters } from "../../protocol/user-parameters.ts";
import { type Decision, explainDenial, letThrough, type Reported, type Via } from "../policy/decision.ts";
import { applyVerdict, describeQuery, evaluate, evaluateAddress } from "../policy/evaluate.ts";
import { guardAddress, type OwnListeners } from "../policy/guard.ts";
import { type Nat64Prefixes, WELL_KNOWN_PREFIX } from "../policy/nat64.ts";
import { meetsRequest } from "../policy/request-condition.ts";
import type { Evaluation, HookQuery, HookVerdict, Policy, Query } from "../policy/policy.ts";
import { explainLookups, gather, type Gathered, listAddresses, lookUpName } from "../resolve/resolve-host.ts";
import type { TraceScope } from "../trace/request-trace.ts";
import type { KnownUpstreams } from "../route/route.ts";
import { askVerdict, askVia } from "./ask-hook.ts";
import { CandidateList, type Finding, type Judged } from "./candidate-list.ts";

/** Who asks, and the snapshot that decides. */
export interface AccessRequest {
  readonly client: Ip;
  readonly user: string | undefined;
  /** The parameters in the user name. */
  readonly parameters?: UserParameters | undefined;
  readonly runtime: KnownUpstreams & {
    readonly policy: Policy;
    readonly timeouts: { readonly connectMs: number; readonly hookMs: number };
    readonly nat64?: Nat64Prefixes;
    /** Upstreams that PAC files choose. */
    readonly pacs?: ReadonlyMap<string, unknown>;
  };
  /** Of a URI that is to be forwarded. */
  readonly scheme?: "http" | "https" | undefined;
  /** Undefined when it is not traced. */
  readonly trace?: TraceScope | undefined;
}

/** What a decision may have to ask. */
export interface AuthorizeServices {
  readonly resolver: Resolver;
  readonly own: OwnListeners;
  /** The time for rules that look at it, in milliseconds since the epoch. Default: the clock of the machine. */
  readonly now?: () => number;
  /** Reports a failed function of the configuration to the operator. */
  reportHook(report: HookReport): void;
}

type Settled =
  { readonly kind: "found"; readonly finding: Finding } | { readonly kind: "needs_address"; readonly rule: number };

function foundBy(decision: Decision, reported: Reported | undefined): Settled {
  const isLetThrough = reported !== undefined && decision.verdict === "allow";
  return { kind: "found", finding: { decision: isLetThrough ? letThrough(decision, reported) : decision } };
}

/** One walk through rules that need answers from functions or DNS. Each question is asked once. */
export class Inquiry {
  readonly #request: AccessRequest;
  readonly #policy: Policy;
  readonly #nat64: Nat64Prefixes;
  readonly #query: Query;
  readonly #services: AuthorizeServices;
  readonly #client: Conn | undefined;
  readonly #verdicts = new Map<number, Promise<HookAnswer<HookVerdict>>>();
  readonly #vias = new Map<number, Promise<HookAnswer<Via>>>();
  /** The first rule that would have refused and only reports, whatever the addresses are. */
  #reported: Reported | undefined;
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
    const { client, trace } = this.#request;
    const lookups = lookUpName(host, this.#services.resolver, client, trace);
    const limit = new TimeLimit(this.#measureTime(settled.rule), this.#client);
    const finding = await this.#resolve(lookups, settled.rule, limit);
    limit.release();
    if (finding.lookups === undefined) lookups.release();
    return { ...finding, spentMs: this.#spentMs };
  }

  /**
   * Milliseconds for resolving. An upstream may know a name that does not resolve here: half of the time for
   * connecting stays for it. A rule that could deny ends the request without the name, so it gets all of the time.
   */
  #measureTime(rule: number): number {
    const { timeouts, upstreams, pacs, environment } = this.#request.runtime;
    if (this.#policy.rules[rule]?.verdict.kind !== "allow") return timeouts.connectMs;
    const mayLeave = environment !== undefined || upstreams.size > 0 || (pacs !== undefined && pacs.size > 0);
    return mayLeave ? timeouts.connectMs / 2 : timeouts.connectMs;
  }

  /** Waits for a name, and counts the wait as time for connecting. */
  async #wait<T>(answer: Promise<T>, limit: TimeLimit): Promise<T> {
    const before = limit.remainingMs;
    const value = await answer;
    this.#spentMs += before - limit.remainingMs;
    return value;
  }

  /** Continues from the rule that stopped: with the found name, and with its addresses when a rule needs them. */
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

  /** Decides about every address, from the rule that needed it: the rules before do not depend on the address. */
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

  /** Judges one address after the other, so that functions are asked in the order of the rules. */
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

  /** The decision that lets the address be dialled, or the refusal. */
  #judge({ decision, failure }: Finding, address: Ip): Judged {
    if (decision?.verdict === "allow") {
      const { port } = this.#query.target;
      const prohibition = guardAddress(address, port, decision, { own: this.#services.own, nat64: this.#nat64 });
      return prohibition === undefined ? decision : { decision, failure: prohibition };
    }
    return { decision, failure: failure ?? explainDenial(decision) };
  }

  /** Decides without addresses. When the name surely does not exist, no rule has to wait for another name. */
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

  /** Decides about a name that does not resolve: refuses where a rule could deny, continues where it could only allow. */
  async #decideBlindly(failure: Failure, from: number, query: Query): Promise<Finding> {
    let rule = from;
    for (;;) {
      const stopped = this.#policy.rules[rule];
      if (stopped === undefined || (stopped.verdict.kind !== "allow" && !stopped.reports)) {
        const note = `${failure.note ?? "no answer"}, and rule ${stopped?.name ?? ""} needs the address`;
        return { decision: undefined, failure: { ...failure, note } };
      }
      // A rule that would have asked an operator could only have allowed, and does not match without an address.
      if (stopped.verdict.kind !== "allow") this.#reported ??= { rule: stopped.name, detail: failure.detail };
      const settled = await this.#settle(evaluate(this.#policy, query, rule + 1), query);
      if (settled.kind === "found") return settled.finding;
      rule = settled.rule;
    }
  }

  /** Asks functions until a rule decides or needs an address. Rules that only report are passed over. */
  async #settle(start: Evaluation, query: Query): Promise<Settled> {
    const { hookMs } = this.#request.runtime.timeouts;
    let evaluation = start;
    let reported = this.#reported;
    const passOver = (would: Reported | undefined, rule: number): void => {
      reported ??= would;
      evaluation = evaluateAddress(this.#policy, query, this.#nat64, rule + 1);
    };
    for (;;) {
      switch (evaluation.kind) {
        case "decided":
          return foundBy(evaluation.decision, reported);
        case "needs_address":
          this.#reported = reported;
          return evaluation;
        case "report":
          passOver(evaluation.reported, evaluation.rule);
          break;
        case "ask": {
          const { rule, ask, longestMs = hookMs } = evaluation;
          const asked = await this.#askOnce(this.#verdicts, rule, (facts) => askVerdict(() => ask(facts), longestMs));
          const { name = "", reports, allowable } = this.#policy.rules[rule] ?? {};
          const refusal = asked.ok ? undefined : this.#distrust(rule, asked.fault.what ?? "function", asked.fault);
          if (refusal !== undefined && !reports) return { kind: "found", finding: refusal };
          const verdict = asked.ok ? asked.answer : undefined;
          const denies = verdict !== undefined && "deny" in verdict;
          // It may deny what it cannot see, and not allow it: the next rule decides then.
          const counts = denies ? !reports : allowable === undefined || meetsRequest(allowable, query.request);
          if (verdict !== undefined && counts) return foundBy(applyVerdict(this.#policy, rule, verdict), reported);
          const detail = denies ? "denied_by_rule" : refusal && "hook_failed";
          passOver(detail && { rule: name, detail }, rule);
          break;
        }
        case "ask_via": {
          const { rule, ask } = evaluation;
          const asked = await this.#askOnce(this.#vias, rule, (facts) => askVia(() => ask(facts), hookMs));
          if (!asked.ok) return { kind: "found", finding: this.#distrust(rule, "via function", asked.fault) };
          return foundBy({ ...evaluation.decision, via: asked.answer }, reported);
        }
        default:
          return evaluation satisfies never;
      }
    }
  }

  /** Asks the function of a rule, unless it was asked before. */
  #askOnce<Answer>(
    asked: Map<number, Promise<Answer>>,
    rule: number,
    ask: (query: HookQuery) => Promise<Answer>,
  ): Promise<Answer> {
    const answer = asked.get(rule) ?? ask(describeQuery(this.#query));
    asked.set(rule, answer);
    return answer;
  }

  /** Denies because a function failed. The operator also learns what it threw. */
  #distrust(rule: number, which: string, fault: HookFault): Finding {
    const name = this.#policy.rules[rule]?.name ?? "";
    this.#services.reportHook({ hook: `${which} of rule ${name}`, fault });
    return {
      decision: { verdict: "deny", rule: name, detail: "hook_failed" },
      failure: { detail: "hook_failed", note: `rule ${name}${fault.what ? `: the ${fault.what}` : ""} ${fault.why}` },
    };
  }
}

/** The answer; undefined when the limit is reached first. */
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
