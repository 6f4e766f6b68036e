import { AddressSet } from "../address/address-set.ts";
import { isStep, type Steps } from "../steps.ts";
import type { Cidr } from "../address/cidr.ts";
import type { Rule } from "../proxy/policy/policy.ts";
import type { ParameterCondition } from "../proxy/policy/rule-list.ts";
import { PortSet } from "../proxy/policy/port-set.ts";
import type { RuleList } from "../proxy/policy/rule-list.ts";
import { type Problem, quoteValue } from "./problem.ts";
import { type TargetIndex, TargetIndexBuilder, type TargetPattern } from "../proxy/policy/target-index.ts";

/** Each rule is compared with the rules before it. Only so many rules are compared, to bound the work. */
const MAX_RULES = 1000;

/**
 * Finds rules that can never match, because one earlier rule decides about everything that they could
 * match. Does not find rules that only several earlier ones cover together. The rules at the positions
 * of `changing` have lists that change: nothing is said of them.
 */
export function* findUnreachableInSteps(
  rules: readonly Rule[],
  changing: ReadonlySet<number> = new Set(),
): Steps<Problem[]> {
  const problems: Problem[] = [];
  const earlier: Cover[] = [];
  for (const [at, rule] of rules.slice(0, MAX_RULES).entries()) {
    yield;
    if (changing.has(at)) continue;
    const cover = yield* findCover(earlier, rule);
    if (cover !== undefined)
      problems.push({
        path: ["rules", at],
        message: `The rule never matches: ${quoteValue(cover.name)} before it decides about everything that it could match. Put it before that one, or leave it out.`,
      });
    // A function may pass on to the next rule, and a rule that only reports does. A rule with times or conditions on requests does not always match.
    else if (rule.verdict.kind !== "hook" && !rule.reports && !isConditional(rule) && at + 1 < rules.length)
      earlier.push(yield* Cover.of(rule));
  }
  return problems;
}

function isConditional({ when, methods, paths }: Rule): boolean {
  return when !== undefined || methods !== undefined || paths !== undefined;
}

function* findCover(earlier: readonly Cover[], rule: Rule): Steps<Cover | undefined> {
  for (const each of earlier) if (yield* each.holds(rule)) return each;
  return undefined;
}

const everything: TargetPattern = { host: { kind: "any" }, ports: [] };

/** Everything that one rule decides about. */
class Cover {
  readonly name: string;
  readonly #from: AddressSet | undefined;
  readonly #users: ReadonlySet<string> | undefined;
  readonly #parameters: readonly ParameterCondition[];
  readonly #targets: TargetIndex;

  static *of(rule: Rule): Steps<Cover> {
    const targets = new TargetIndexBuilder();
    yield* targets.add(0, rule.to);
    return new Cover(rule, rule.from && new AddressSet(rule.from), yield* targets.build([{}]));
  }

  private constructor({ name, users, parameters = [] }: Rule, from: AddressSet | undefined, targets: TargetIndex) {
    this.name = name;
    this.#from = from;
    this.#users = users;
    this.#parameters = parameters;
    this.#targets = targets;
  }

  *holds({ from, users, parameters = [], to = [everything] }: Rule): Steps<boolean> {
    if (!this.#holdsClients(from) || !this.#holdsUsers(users) || !this.#holdsParameters(parameters)) return false;
    let at = 0;
    for (const pattern of to) {
      if (!this.#holdsTarget(pattern)) return false;
      if (isStep(at++)) yield;
    }
    return true;
  }

  #holdsClients(from: readonly Cidr[] | undefined): boolean {
    const own = this.#from;
    return own === undefined || from?.every((range) => own.hasRange(range)) === true;
  }

  #holdsUsers(users: ReadonlySet<string> | undefined): boolean {
    return this.#users === undefined || users?.isSubsetOf(this.#users) === true;
  }

  #holdsParameters(parameters: readonly ParameterCondition[]): boolean {
    return this.#parameters.every((own) => {
      const asked = parameters.find(({ name }) => name === own.name);
      return asked !== undefined && (own.values === undefined || asked.values?.isSubsetOf(own.values) === true);
    });
  }

  #holdsTarget({ host, ports }: TargetPattern): boolean {
    const wanted = new PortSet(ports);
    return this.#listAround(host).some((list) => list?.forAll.some((group) => group.ports.covers(wanted)));
  }

  /** The lists of all patterns that hold everything that `host` holds. */
  #listAround(host: TargetPattern["host"]): (RuleList | undefined)[] {
    const { open, names, ranges, lists } = this.#targets;
    const found = [open];
    switch (host.kind) {
      case "any":
        return found;
      case "name":
        return [...found, ...names.find(host.name).map((list) => lists[list])];
      case "suffix":
        // The star is no name: only suffixes match it.
        return [...found, ...names.find(`*.${host.suffix}`).map((list) => lists[list])];
      case "cidr": {
        const around: (RuleList | undefined)[] = [];
        for (let node = ranges.findAround(host.cidr); node !== undefined; node = node.wider)
          around.push(lists[node.value]);
        return [...found, ...around];
      }
      default:
        return host satisfies never;
    }
  }
}
