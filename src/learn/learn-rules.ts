import { formatHost } from "../address/endpoint.ts";
import type { Seen } from "./read-entry.ts";
import { findRegisteredDomain, hasSuffixesBelow } from "./registered-domain.ts";

/** Something that a rule allows, and what it was made of. */
export interface LearnedTarget {
  /** As a rule has it: `*.example.org:443`. */
  readonly pattern: string;
  readonly requests: number;
  /** The hosts that were seen; several only where it was generalised. */
  readonly hosts: readonly string[];
  readonly isGeneralised: boolean;
  readonly isAddress: boolean;
  /** Names of the rules that would have refused some of it. */
  readonly reportedBy: readonly string[];
}

export interface LearnedRule {
  readonly name: string;
  /** Undefined for everybody: requests without a user were seen. */
  readonly users: readonly string[] | undefined;
  readonly via: readonly string[];
  readonly allowPrivate: boolean;
  readonly targets: readonly LearnedTarget[];
}

/** Different targets, users and routes that are kept. */
const MAX_KINDS = 500_000;

interface Kind extends Seen {
  requests: number;
  readonly reporters: Set<string>;
}

/** What was seen, by host, port, user and route. */
export class Observations {
  /** Requests that were too many different ones. */
  dropped = 0;
  requests = 0;
  readonly #kinds = new Map<string, Kind>();

  get kinds(): Iterable<Kind> {
    return this.#kinds.values();
  }

  get size(): number {
    return this.#kinds.size;
  }

  /** Requests of the kinds of which nothing would have been refused. */
  get unreported(): number {
    return Array.from(this.kinds, (kind) => (isReported(kind) ? 0 : kind.requests)).reduce(
      (sum, each) => sum + each,
      0,
    );
  }

  add(seen: Seen): void {
    const { host, port, user, via, isPrivate, reportedBy } = seen;
    const key = JSON.stringify([nameHost(host), port, user ?? null, via, isPrivate]);
    let kind = this.#kinds.get(key);
    if (kind === undefined) {
      if (this.#kinds.size >= MAX_KINDS) {
        this.dropped += 1;
        return;
      }
      kind = { ...seen, requests: 0, reporters: new Set() };
      this.#kinds.set(key, kind);
    }
    this.requests += 1;
    kind.requests += 1;
    if (reportedBy !== undefined && kind.reporters.size < 10) kind.reporters.add(reportedBy);
  }
}

/** Whether a rule would have refused some of it. */
function isReported({ reporters }: Kind): boolean {
  return reporters.size > 0;
}

/** A pattern without its port, and everything on that port that it is made of. */
interface Part {
  readonly host: string;
  readonly kinds: readonly Kind[];
  readonly isGeneralised: boolean;
}

/**
 * Makes rules that allow everything that was seen, or only the kinds of which something would have been refused. From
 * `threshold` names of one registered domain on, at the same port, for the same user and by the same route, all names
 * below what they have in common are allowed. Nothing else is generalised: no address, no port, no domain with public
 * suffixes below it, none of which a name went another way or is left out.
 */
export function learnRules(
  observations: Observations,
  threshold: number,
  wanted: "everything" | "reported" = "everything",
): LearnedRule[] {
  const kinds = [...observations.kinds];
  const ways = new Map<string, Set<string>>();
  const placeOf = ({ host, port }: Seen): string => `${domainOf(host) ?? ""}:${port}`;
  const isWanted = (kind: Kind): boolean => wanted === "everything" || isReported(kind);
  for (const kind of kinds)
    getOrMake(ways, placeOf(kind), () => new Set<string>()).add(isWanted(kind) ? wayOf(kind) : "left out");
  const isMixed = (kind: Kind): boolean => (ways.get(placeOf(kind))?.size ?? 0) > 1;
  const asked = Map.groupBy(kinds.filter(isWanted), (kind) =>
    JSON.stringify([kind.user ?? null, wayOf(kind), kind.port]),
  );
  const rules = new Map<string, Map<string, Part[]>>();
  for (const group of asked.values())
    for (const part of generalise(group, threshold, isMixed)) {
      const [kind] = part.kinds;
      if (kind === undefined) continue;
      const targets = getOrMake(rules, `${wayOf(kind)} ${kind.host.kind}`, () => new Map<string, Part[]>());
      getOrMake(targets, `${part.host} ${kind.port}`, (): Part[] => []).push(part);
    }
  return [...rules.values()]
    .flatMap(byUsers)
    .toSorted(compareRules)
    .map((rule, at) => ({ ...rule, name: `learned-${at + 1}` }));
}

/** As in a rule: IPv6 in brackets, an absolute name without its dot. */
function nameHost(host: Seen["host"]): string {
  return host.kind === "ip" ? formatHost(host) : host.text;
}

function domainOf(host: Seen["host"]): string | undefined {
  return host.kind === "ip" ? undefined : findRegisteredDomain(host.text);
}

function wayOf({ via, isPrivate }: Seen): string {
  return JSON.stringify([isPrivate, via]);
}

/** Names of one user, at one port, by one route. */
function generalise(kinds: readonly Kind[], threshold: number, isMixed: (kind: Kind) => boolean): Part[] {
  const domains = Map.groupBy(kinds, ({ host, isPrivate }) => (isPrivate ? undefined : domainOf(host)));
  return Array.from(domains, ([domain, group]): Part[] => {
    const exact = (kind: Kind): Part => ({ host: nameHost(kind.host), kinds: [kind], isGeneralised: false });
    const below = group.filter(({ host }) => host.text !== domain);
    const common = domain === undefined ? "" : findCommonSuffix(below.map(({ host }) => host.text));
    const covered = group.filter(({ host }) => host.text.endsWith(`.${common}`));
    const names = new Set(covered.map(({ host }) => host.text));
    if (domain === undefined || names.size < threshold || group.some(isMixed) || hasSuffixesBelow(common))
      return group.map(exact);
    const rest = group.filter((kind) => !covered.includes(kind));
    return [{ host: `*.${common}`, kinds: covered, isGeneralised: true }, ...rest.map(exact)];
  }).flat();
}

/** The labels with which all names end, joined. */
function findCommonSuffix(names: readonly string[]): string {
  const [first = "", ...others] = names;
  let common = first.split(".");
  for (const name of others) {
    const labels = name.split(".");
    let length = 0;
    while (length < common.length && common.at(-1 - length) === labels.at(-1 - length)) length += 1;
    common = length === 0 ? [] : common.slice(-length);
  }
  // Of one name alone nothing can be said of others beside it.
  return common.length === first.split(".").length && others.length === 0
    ? common.slice(1).join(".")
    : common.join(".");
}

type Unnamed = Omit<LearnedRule, "name">;

/** Joins targets of the same users, and the ports of the same host. */
function byUsers(targets: ReadonlyMap<string, readonly Part[]>): Unnamed[] {
  const groups = new Map<string, Part[][]>();
  for (const parts of targets.values()) {
    const users = parts.map(({ kinds }) => kinds[0]?.user);
    const names = users.includes(undefined) ? null : [...new Set(users.map(String))].toSorted(compare);
    getOrMake(groups, JSON.stringify(names), (): Part[][] => []).push([...parts]);
  }
  return Array.from(groups, ([names, lists]) => {
    const [kind] = lists.flat().flatMap(({ kinds }) => kinds);
    const users = JSON.parse(names) as string[] | null;
    const byHost = Map.groupBy(lists.flat(), ({ host }) => host);
    const list = Array.from(byHost, ([host, parts]) => describeTarget(host, parts));
    return {
      users: users ?? undefined,
      via: kind?.via ?? [],
      allowPrivate: kind?.isPrivate === true,
      targets: list.toSorted((a, b) => compare(sortKey(a.pattern), sortKey(b.pattern))),
    };
  });
}

function describeTarget(host: string, parts: readonly Part[]): LearnedTarget {
  const kinds = parts.flatMap((part) => part.kinds);
  const ports = [...new Set(kinds.map(({ port }) => port))].toSorted((a, b) => a - b);
  return {
    pattern: `${host}:${ports.join(",")}`,
    requests: kinds.reduce((sum, { requests }) => sum + requests, 0),
    hosts: [...new Set(kinds.map((kind) => nameHost(kind.host)))].toSorted(),
    isGeneralised: parts.some(({ isGeneralised }) => isGeneralised),
    isAddress: kinds.some((kind) => kind.host.kind === "ip"),
    reportedBy: [...new Set(kinds.flatMap(({ reporters }) => [...reporters]))].toSorted(),
  };
}

/** Names of one domain beside each other. */
function sortKey(pattern: string): string {
  const [host = ""] = pattern.split(":");
  return /^[\d[]/.test(host) ? `~${pattern}` : host.split(".").toReversed().join(".");
}

/** Rules with addresses come last: where one is asked, a name has to be resolved. */
function compareRules(a: Unnamed, b: Unnamed): number {
  const key = ({ allowPrivate, via, users, targets }: Unnamed) =>
    JSON.stringify([targets.some(({ isAddress }) => isAddress) ? 1 : 0, allowPrivate ? 0 : 1, via, users ?? []]);
  return compare(key(a), key(b));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function getOrMake<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
