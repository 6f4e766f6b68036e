import { formatEndpoint } from "../../address/endpoint.ts";
import { describeChoice, type PacChoice } from "../../protocol/pac/read-pac-result.ts";
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
export type PacWay = Hop | PoolPlan | "direct";

/** Proxies, and combinations of them, that one file may name: more make no route but a leak. */
const MAX_PROXIES = 256;
const MAX_COMBINATIONS = 1024;

/**
 * When a proxy that failed is left out, where the file names others. Browsers
 * leave it out for five minutes; here the first time is short, because many
 * clients share it and one of them tries it again at each end of the time.
 */
const EJECT = { failures: 1, forMs: 10_000, maxMs: 300_000, statuses: new Set<number>() };

/** Makes ways of what a PAC file answers. Equal answers are the same way, so that what is known of a proxy stays. */
export class PacWays {
  readonly #plan: PacPlan;
  readonly #proxies = new Map<string, PoolPlan>();
  readonly #combinations = new Map<string, PoolPlan>();

  constructor(plan: PacPlan) {
    this.#plan = plan;
  }

  /** The way of some choices in order; undefined when the file named too many different ones. */
  find(choices: readonly PacChoice[]): PacWay | undefined {
    const [first] = choices;
    if (first === undefined) throw new Error("A PAC file answered with no choice");
    if (choices.length === 1) return first.kind === "direct" ? "direct" : this.#findProxy(first)?.members[0]?.way;
    const key = choices.map(describeChoice).join(",");
    const known = this.#combinations.get(key);
    if (known !== undefined) return known;
    if (this.#combinations.size >= MAX_COMBINATIONS) return undefined;
    const members: MemberPlan[] = [];
    for (const choice of choices) {
      const way = choice.kind === "direct" ? choice.kind : this.#findProxy(choice);
      if (way === undefined) return undefined;
      members.push(createMember(describeChoice(choice), way));
    }
    const pool = this.#createPool(`${this.#plan.name}/${key}`, members);
    this.#combinations.set(key, pool);
    return pool;
  }

  /** A pool of one proxy: what is known of it is shared by all combinations that have it. */
  #findProxy(choice: Exclude<PacChoice, { kind: "direct" }>): PoolPlan | undefined {
    const key = describeChoice(choice);
    const known = this.#proxies.get(key);
    if (known !== undefined) return known;
    if (this.#proxies.size >= MAX_PROXIES) return undefined;
    const hop = createHop(this.#plan, choice);
    const pool = this.#createPool(hop.name, [createMember(formatEndpoint(choice.endpoint), hop)]);
    this.#proxies.set(key, pool);
    return pool;
  }

  #createPool(name: string, members: readonly MemberPlan[]): PoolPlan {
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
    kind,
    endpoint,
    ...(login !== undefined && { credentials: login }),
    ...(kind === "https" && { tls: { serverName: endpoint.host.text, ...(ca !== undefined && { ca }) } }),
  };
}
