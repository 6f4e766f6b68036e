import { formatEndpoint } from "../../address/endpoint.ts";
import { describeChoice, type PacChoice, parseChoice } from "../../protocol/pac/read-pac-result.ts";
import type { MemberPlan, PoolPlan } from "../route/pool-plan.ts";
import type { Hop } from "../route/hop.ts";

/** An upstream that a PAC file chooses, as compiled from the configuration. */
export interface PacPlan {
  readonly kind: "pac";
  /** Name in the configuration. */
  readonly name: string;
  /** What is known of a proxy beside what the file says; the proxy by `host:port`. */
  readonly credentials: (proxy: string, host: string) => Hop["credentials"];
  /** PEM texts of the roots for HTTPS proxies; those of the program when absent. */
  readonly ca?: readonly string[];
}

/** Where a PAC file leads a request. */
export type PacWay = PoolPlan | "direct";

/** Proxies, and combinations of them, that are known at once: those that were not named for longest are forgotten first. */
const MAX_PROXIES = 256;
const MAX_COMBINATIONS = 1024;

/** Separates the choices of a combination in its name. No choice has one. */
const CHOICE_END = ",";

/** A way that a PAC file named. */
export interface NamedWay {
  /** Undefined once the way is forgotten. */
  way: PacWay | undefined;
}

/** A proxy, as a pool of one: what is known of it is shared by all combinations that have it. */
interface NamedProxy extends NamedWay {
  way: PoolPlan | undefined;
  /** The keys of the combinations that have it. */
  readonly combinations: Set<string>;
}

interface NamedCombination extends NamedWay {
  way: PoolPlan | undefined;
  /** The keys of its proxies. */
  proxies: readonly string[];
}

const DIRECT: NamedWay = { way: "direct" };

/**
 * When a proxy that failed is left out, where the file names others. Browsers
 * leave it out for five minutes; here the first time is short, because many
 * clients share it and one of them tries it again at each end of the time.
 */
const EJECT = { failures: 1, forMs: 10_000, maxMs: 300_000, statuses: new Set<number>() };

/** Makes ways of what a PAC file answers. Equal answers are the same way, so that what is known of a proxy stays. */
export class PacWays {
  readonly #plan: PacPlan;
  /** Both in the order in which they were named last. */
  readonly #proxies = new Map<string, NamedProxy>();
  readonly #combinations = new Map<string, NamedCombination>();

  constructor(plan: PacPlan) {
    this.#plan = plan;
  }

  /** The way of some choices in order. */
  find(choices: readonly PacChoice[]): NamedWay {
    const [first] = choices;
    if (first === undefined) throw new Error("A PAC file answered with no choice");
    if (choices.length === 1) return first.kind === "direct" ? DIRECT : this.#findProxy(first);
    const key = choices.map(describeChoice).join(CHOICE_END);
    const known = this.#combinations.get(key);
    const proxies: string[] = [];
    const members: MemberPlan[] = [];
    for (const choice of choices) {
      const name = describeChoice(choice);
      if (choice.kind === "direct") {
        members.push(createMember(name, choice.kind));
        continue;
      }
      const proxy = this.#findProxy(choice);
      proxy.combinations.add(key);
      proxies.push(name);
      members.push(createMember(name, proxy.way as PoolPlan));
    }
    if (known !== undefined) return renew(this.#combinations, key, known);
    const combination = { way: createPool(`${this.#plan.name}/${key}`, members), proxies };
    this.#combinations.set(key, combination);
    if (this.#combinations.size > MAX_COMBINATIONS) this.#forgetCombination(findOldest(this.#combinations));
    return combination;
  }

  /** The way that another process knew by this name, after that of the upstream. */
  revive(name: string): PacWay | undefined {
    const choices = name.split(CHOICE_END).map(parseChoice);
    const known = choices.filter((choice) => choice !== undefined);
    return known.length === choices.length ? this.find(known).way : undefined;
  }

  #findProxy(choice: Exclude<PacChoice, { kind: "direct" }>): NamedProxy {
    const key = describeChoice(choice);
    const known = this.#proxies.get(key);
    if (known !== undefined) return renew(this.#proxies, key, known);
    const hop = createHop(this.#plan, choice);
    const pool = createPool(hop.name, [createMember(formatEndpoint(choice.endpoint), hop)]);
    const proxy = { way: { ...pool, triesEjected: true }, combinations: new Set<string>() };
    this.#proxies.set(key, proxy);
    if (this.#proxies.size > MAX_PROXIES) this.#forgetProxy(findOldest(this.#proxies));
    return proxy;
  }

  #forgetProxy(key: string): void {
    const proxy = this.#proxies.get(key);
    if (proxy === undefined) return;
    this.#proxies.delete(key);
    proxy.way = undefined;
    for (const combination of proxy.combinations) this.#forgetCombination(combination);
    proxy.combinations.clear();
  }

  #forgetCombination(key: string): void {
    const combination = this.#combinations.get(key);
    if (combination === undefined) return;
    this.#combinations.delete(key);
    combination.way = undefined;
    for (const proxy of combination.proxies) this.#proxies.get(proxy)?.combinations.delete(key);
    combination.proxies = [];
  }
}

function createPool(name: string, members: readonly MemberPlan[]): PoolPlan {
  return {
    kind: "pool",
    name,
    members,
    balance: "first",
    hash: "client",
    eject: EJECT,
    attempts: members.length,
    waitMs: 0,
    slowStartMs: 0,
  };
}

/** Puts an entry at the end of the order. */
function renew<T>(entries: Map<string, T>, key: string, entry: T): T {
  entries.delete(key);
  entries.set(key, entry);
  return entry;
}

function findOldest(entries: ReadonlyMap<string, unknown>): string {
  const [key = ""] = entries.keys();
  return key;
}

function createMember(name: string, way: MemberPlan["way"]): MemberPlan {
  return { name, way, weight: 1, maxConnections: 0, backup: false };
}

function createHop(
  { name, credentials, ca }: PacPlan,
  { kind, endpoint }: Exclude<PacChoice, { kind: "direct" }>,
): Hop {
  const proxy = formatEndpoint(endpoint);
  const login = credentials(proxy, endpoint.host.text);
  return {
    // No name in a configuration has a slash.
    name: `${name}/${kind}://${proxy}`,
    ofPac: name,
    kind,
    endpoint,
    ...(login !== undefined && { credentials: login }),
    ...(kind === "https" && { tls: { serverName: endpoint.host.text, ...(ca !== undefined && { ca }) } }),
  };
}
