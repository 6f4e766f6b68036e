import type { AddressSet } from "../../address/address-set.ts";
import type { Cidr } from "../../address/cidr.ts";
import type { Endpoint } from "../../address/endpoint.ts";
import type { Host } from "../../address/host.ts";
import type { Ip } from "../../address/ip.ts";
import type { UserParameters } from "../../protocol/user-parameters.ts";
import type { RequestCondition, RequestFacts } from "./request-condition.ts";
import type { ParameterCondition } from "./rule-list.ts";
import type { TargetIndex, TargetPattern } from "./target-index.ts";
import type { Timetable, When } from "./when.ts";
import type { AllowDecision, Authorization, Decision, Reported, Terms, Via } from "./decision.ts";

/** The facts that a rule can look at. */
export interface Query {
  readonly client: Ip;
  /** The authenticated user; undefined when the proxy asks for no credentials. */
  readonly user: string | undefined;
  /** The parameters in the user name; undefined for none. */
  readonly parameters?: UserParameters | undefined;
  readonly target: Endpoint;
  /** The time of the request, in milliseconds since the epoch. Only rules with times look at it. */
  readonly now: number;
  /** One resolved address of the target, once it is known. */
  readonly address?: Ip;
  /**
   * The name that resolving found, when it differs from the asked one (`intranet` became
   * `intranet.corp.example`). Name patterns are compared with both names.
   */
  readonly foundName?: Host;
  /**
   * The search list may complete the asked name, and `foundName` is not known yet. A rule that could
   * match the found name by a name pattern stops the evaluation.
   */
  readonly mayBeCompleted?: boolean;
  /** The request that is to be forwarded; undefined when it cannot be seen, as in a tunnel. `any` stands for all. */
  readonly request?: RequestFacts | "any" | undefined;
}

/** What a rule that is a function may answer; undefined passes on to the next rule. */
export type HookVerdict =
  | undefined
  | { readonly deny: true; readonly reason?: string }
  | { readonly allow: true; readonly allowPrivate?: boolean; readonly via?: Via };

export interface HookQuery {
  readonly client: string;
  readonly user: string | undefined;
  /** The parameters in the user name, by name. */
  readonly parameters: UserParameters;
  readonly host: string;
  readonly port: number;
  /** Of a forwarded request; undefined for a tunnel. The path has no query, and is undefined where readers could differ about it. */
  readonly method: string | undefined;
  readonly path: string | undefined;
}

/** One parsed rule. An absent list matches everything. */
export interface Rule {
  readonly name: string;
  readonly from?: readonly Cidr[];
  readonly users?: ReadonlySet<string>;
  /** All of them must be met. */
  readonly parameters?: readonly ParameterCondition[];
  /** Each iteration may parse the patterns again, so that a long list is not kept. */
  readonly to?: Iterable<TargetPattern>;
  /** Methods of forwarded requests, in upper case. */
  readonly methods?: ReadonlySet<string>;
  /** Patterns of paths of forwarded requests, with `*` for any characters. */
  readonly paths?: readonly string[];
  readonly when?: When;
  /** What the rule would deny is passed on to the next rule, and recorded. For rules that deny, and functions. */
  readonly reports?: true;
  readonly verdict:
    /** `lacksList`: a list that it denies by has no content, so that it denies whatever the list could have. */
    | { readonly kind: "deny"; readonly lacksList?: true }
    /** `via` undefined: the default route. A function is asked for each connection. */
    | (Terms & {
        readonly kind: "allow";
        readonly allowPrivate: boolean;
        readonly via: Via | ((query: HookQuery) => Via | Promise<Via>) | undefined;
      })
    | {
        readonly kind: "hook";
        /** Should give a `HookVerdict`, or a promise of one: who asks checks that. */
        readonly ask: (query: HookQuery) => unknown;
        /** It is a webhook, which answers within this time or has a fault. */
        readonly webhook?: { readonly longestMs: number };
      };
}

/** A rule, compiled. Its targets are in the index of the policy. */
export interface CompiledRule {
  readonly name: string;
  readonly from?: AddressSet;
  readonly users?: ReadonlySet<string>;
  readonly parameters?: readonly ParameterCondition[];
  readonly request?: RequestCondition;
  /** What a webhook can allow: `request` as of a rule that allows. */
  readonly allowable?: RequestCondition;
  readonly when?: When;
  readonly reports?: true;
  readonly verdict: Rule["verdict"];
  readonly matched: Evaluation;
  /** The evaluation when the rule names the one address; differs only with `allowPrivate`. */
  readonly matchedExactly: Evaluation;
}

/** What holds when no rule matches. With `reports`, what it refuses, or would ask for, is let through and recorded. */
export type Fallback =
  | { readonly kind: "deny"; readonly reports?: true }
  | { readonly kind: "allow"; readonly via: Via }
  | { readonly kind: "ask"; readonly via: Via; readonly reports?: true };

/** The compiled policy: rules in order, and what holds when none matches. `compileRules` makes it. */
export interface Policy {
  readonly rules: readonly CompiledRule[];
  readonly targets: TargetIndex;
  /** When decisions may change with the time; undefined when no rule looks at it. */
  readonly times: Timetable | undefined;
  readonly fallback: Fallback;
  readonly unmatched: Evaluation;
  /** A rule looks at the method or the path of forwarded requests. */
  readonly looksAtRequests: boolean;
  /** A rule or the default asks an operator. */
  readonly asks: boolean;
}

/** The result of the rules for a query, or what they need to know first. `rule` is the index of the rule that stopped. */
export type Evaluation =
  /** `rule` is the index of the one that matched; absent when none did, or when a function spoke. */
  | {
      readonly kind: "decided";
      readonly decision: Decision;
      /** The authorization by this decision alone, compiled with the rules. */
      readonly authorization: Authorization;
      readonly rule?: number;
    }
  /**
   * The target is a name that has to be resolved first: the rule has a range in `to`, or a name that
   * the search list could lead to. Ask again from this rule with `address` and `foundName`.
   */
  | { readonly kind: "needs_address"; readonly rule: number }
  /** The rule would deny, and only reports it. Continue from the next rule. */
  | { readonly kind: "report"; readonly rule: number; readonly reported: Reported }
  /** The rule is a function. Without a verdict, continue from the next rule. */
  | {
      readonly kind: "ask";
      readonly rule: number;
      readonly ask: (query: HookQuery) => unknown;
      /** Milliseconds for an answer, where it is not the time of all functions. */
      readonly longestMs?: number;
    }
  /** The rule allows, and a function chooses the route. */
  | {
      readonly kind: "ask_via";
      readonly rule: number;
      readonly ask: (query: HookQuery) => Via | Promise<Via>;
      readonly decision: AllowDecision;
    };
