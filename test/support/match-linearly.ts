import { containsIp } from "../../src/address/cidr.ts";
import type { Host } from "../../src/address/host.ts";
import type { Ip } from "../../src/address/ip.ts";
import type { Query, Rule } from "../../src/proxy/policy/policy.ts";
import type { ParameterCondition } from "../../src/proxy/policy/rule-list.ts";
import type { TargetPattern } from "../../src/proxy/policy/target-index.ts";

/** A rule whose patterns can be read as often as wanted. */
export type ListedRule = Rule & { readonly to?: readonly TargetPattern[] };

export type LinearMatch =
  | { readonly kind: "matched"; readonly rule: number; readonly exact: boolean }
  | { readonly kind: "needs_address"; readonly rule: number }
  | { readonly kind: "none" };

/** Says which rule comes first, by looking at each pattern of each rule: what the compiled form must agree with. */
export function matchLinearly(rules: readonly ListedRule[], query: Query, from = 0): LinearMatch {
  const address = query.target.host.kind === "ip" ? query.target.host.ip : query.address;
  for (const [rule, { from: ranges, users, parameters, to, methods, paths, when, verdict }] of rules.entries()) {
    if (rule < from) continue;
    if (ranges !== undefined && !ranges.some((range) => containsIp(range, query.client))) continue;
    if (users !== undefined && (query.user === undefined || !users.has(query.user))) continue;
    if (parameters?.some((condition) => !meetsCondition(query.parameters ?? {}, condition)) === true) continue;
    if (!meetsRequest(query.request, { methods, paths }, verdict.kind === "deny")) continue;
    if (when?.until !== undefined && query.now >= when.until) continue;
    const wanted = to?.filter(({ ports }) => matchesPort(ports, query.target.port));
    if (wanted === undefined || wanted.some(({ host }) => matchesHost(host, query, address))) {
      const opens = verdict.kind === "allow" && verdict.allowPrivate;
      const exact = opens && address !== undefined && wanted?.some(({ host }) => isAddress(host, address)) === true;
      return { kind: "matched", rule, exact };
    }
    if (wanted.some(({ host }) => (host.kind === "cidr" ? address === undefined : awaitsName(query))))
      return { kind: "needs_address", rule };
  }
  return { kind: "none" };
}

function meetsCondition(parameters: Readonly<Record<string, string>>, { name, values }: ParameterCondition): boolean {
  const given = parameters[name]?.toLowerCase();
  return given !== undefined && (values === undefined || [...values].includes(given));
}

/** What cannot be seen is matched by rules that deny, and by no others. */
function meetsRequest(
  request: Query["request"],
  { methods, paths }: { methods: ListedRule["methods"]; paths: ListedRule["paths"] },
  denies: boolean,
): boolean {
  if ((methods === undefined && paths === undefined) || request === "any") return true;
  if (request === undefined) return denies;
  const { method, path } = request;
  const flags = denies ? "i" : "";
  const isMethod = methods === undefined || methods.has(denies ? method.toUpperCase() : method);
  if (!isMethod || paths === undefined) return isMethod;
  if (path === undefined) return denies;
  return paths.some((each) => new RegExp(`^${each.replaceAll("*", ".*")}$`, flags).test(path));
}

function matchesPort(ports: TargetPattern["ports"], port: number): boolean {
  return ports.length === 0 || ports.some(([from, to]) => port >= from && port <= to);
}

function matchesHost(host: TargetPattern["host"], query: Query, address: Ip | undefined): boolean {
  const names = [query.target.host, query.foundName].flatMap((each: Host | undefined) =>
    each?.kind === "name" ? each.text : [],
  );
  switch (host.kind) {
    case "any":
      return true;
    case "name":
      return names.includes(host.name);
    case "suffix":
      return names.some((name) => isBelow(name, host.suffix));
    case "cidr":
      return address !== undefined && containsIp(host.cidr, address);
    default:
      return host satisfies never;
  }
}

function isAddress(host: TargetPattern["host"], address: Ip): boolean {
  return host.kind === "cidr" && host.cidr.prefix === address.bytes.length * 8 && containsIp(host.cidr, address);
}

function awaitsName({ target, foundName, mayBeCompleted }: Query): boolean {
  return mayBeCompleted === true && foundName === undefined && target.host.kind === "name";
}

function isBelow(name: string, suffix: string): boolean {
  return name.endsWith(`.${suffix}`) && name.length > suffix.length + 1;
}
