import type { Endpoint } from "../../address/endpoint.ts";
import { parseHost } from "../../address/host.ts";
import type { Ip } from "../../address/ip.ts";
import { TimeLimit } from "../../net/conn/time-limit.ts";
import type { Resolver } from "../../net/dns/resolver.ts";
import { askPac, type PacQuestion } from "../../protocol/pac/pac-url.ts";
import { readPacResult } from "../../protocol/pac/read-pac-result.ts";
import { fail, type Failure, type Outcome, succeed } from "../failure.ts";
import { resolveHost } from "../resolve/resolve-host.ts";
import type { KnownNames, PacFile, PacStep } from "./pac-file.ts";
import { type NamedWay, type PacPlan, type PacWay, PacWays } from "./pac-plan.ts";
import { PacTurns } from "./pac-turns.ts";

export interface PacRouterOptions {
  readonly resolver: Resolver;
  /** The file in use of an upstream; undefined when no configuration names it any more. */
  readonly find: (name: string) => PacFile | undefined;
  /** Tells the operator that a file gave no usable answer. `why` continues a sentence that begins with the file. */
  readonly report: (name: string, why: string) => void;
  /** The key of a client, wherever clients are counted. */
  readonly nameClient: (client: Ip) => string;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

/** What a PAC file is asked about. */
export interface PacRequest {
  readonly target: Endpoint;
  /** Of a URI that is to be forwarded; undefined for a tunnel. */
  readonly scheme?: "http" | "https" | undefined;
  /** Path and query of a plain request. */
  readonly path?: string | undefined;
  readonly client: Ip;
}

/** Milliseconds for which an answer holds: as long as one of DNS at most. A failure holds shorter. */
const ANSWER_MS = 30_000;
const FAILURE_MS = 1000;
/** Answers that are remembered for one upstream. */
const MAX_ANSWERS = 4096;
/** Milliseconds for the addresses of a name. After that the file learns that there are none. */
const NAME_MS = 4000;
/** Names that one evaluation may ask for. */
const MAX_NAMES = 16;

/** How often a PAC file was asked for a route. */
export interface PacCounts {
  /** Requests that asked; those among them that were refused because of it. */
  queries: number;
  failures: number;
  /** Evaluations of the file. The other answers were remembered. */
  evaluations: number;
}

/** What a PAC file answered, and until when that holds. */
interface Answer {
  readonly answered: NamedWay | Failure;
  readonly until: number;
}

/** What is known of one upstream with a PAC file, under one snapshot. */
class PacUpstream {
  readonly ways: PacWays;
  readonly turns = new PacTurns();
  /** The least recently used one first. */
  readonly answers = new Map<string, Answer>();
  /** Evaluations under way, by client and URL. */
  readonly underWay = new Map<string, Promise<Outcome<PacWay>>>();
  version = 0;

  constructor(plan: PacPlan) {
    this.ways = new PacWays(plan);
  }
}

/**
 * Asks PAC files for routes. Answers are remembered by URL, which has no path for
 * tunnels. Names that a file asks for are resolved by the resolver of the proxy,
 * for the client and within its share. They decide about the route only: the
 * address that is dialled is resolved and judged as without the file.
 */
export class PacRouter {
  readonly #options: PacRouterOptions;
  readonly #now: () => number;
  readonly #upstreams = new WeakMap<PacPlan, PacUpstream>();
  /** By the name of the upstream, across snapshots. */
  readonly #counts = new Map<string, PacCounts>();

  constructor(options: PacRouterOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Whether the file of an upstream is there to be asked. */
  isThere(name: string): boolean {
    return (this.#options.find(name)?.version ?? 0) > 0;
  }

  /** How often the file of an upstream was asked. */
  countsOf(name: string): PacCounts {
    let counts = this.#counts.get(name);
    if (counts === undefined) this.#counts.set(name, (counts = { queries: 0, failures: 0, evaluations: 0 }));
    return counts;
  }

  /** Forgets the counts of upstreams that have no PAC file any more. */
  retain(pacs: ReadonlyMap<string, unknown>): void {
    for (const name of this.#counts.keys()) if (!pacs.has(name)) this.#counts.delete(name);
  }

  /** The way to a target: at once when it is remembered. `limit` ends the wait. */
  choose(plan: PacPlan, request: PacRequest, limit: TimeLimit): Outcome<PacWay> | Promise<Outcome<PacWay>> {
    const counts = this.countsOf(plan.name);
    counts.queries += 1;
    const chosen = this.#choose(plan, request, limit);
    const note = (outcome: Outcome<PacWay>): Outcome<PacWay> => {
      if (!outcome.ok && outcome.failure.detail !== "client_gone") counts.failures += 1;
      return outcome;
    };
    return chosen instanceof Promise ? chosen.then(note) : note(chosen);
  }

  /** The way that another process knew by this name, after that of the upstream; undefined for what is no name. */
  revive(plan: PacPlan, name: string): PacWay | undefined {
    return this.#know(plan).ways.revive(name);
  }

  #choose(plan: PacPlan, request: PacRequest, limit: TimeLimit): Outcome<PacWay> | Promise<Outcome<PacWay>> {
    const file = this.#options.find(plan.name);
    if (file === undefined || file.version === 0)
      return fail("pac_unavailable", { note: describeMissing(plan, file), nextHop: plan.name });
    const upstream = this.#find(plan, file);
    const question = askPac(request.target, request.scheme, request.path);
    const known = this.#recall(upstream, question.url);
    return (
      known ??
      waitWithin(
        this.#join({ plan, upstream, file, version: file.version, question, client: request.client }),
        limit,
        plan,
      )
    );
  }

  /** Requests of one client for the same wait for one evaluation. */
  #join(asked: Asked): Promise<Outcome<PacWay>> {
    const { upstream, question } = asked;
    const owner = this.#options.nameClient(asked.client);
    const key = `${owner} ${question.url}`;
    const begun = upstream.underWay.get(key);
    if (begun !== undefined) return begun;
    const evaluation = this.#evaluate(asked, owner).finally(() => {
      if (upstream.underWay.get(key) === evaluation) upstream.underWay.delete(key);
    });
    upstream.underWay.set(key, evaluation);
    return evaluation;
  }

  async #evaluate(asked: Asked, owner: string): Promise<Outcome<PacWay>> {
    const { plan, upstream, file, question, client } = asked;
    const names: Record<string, readonly string[]> = {};
    for (let round = 0; round <= MAX_NAMES; round += 1) {
      const turn = upstream.turns.take(owner);
      if (turn === undefined) return fail("pac_busy", { nextHop: plan.name, retryAfterSeconds: 1 });
      await turn;
      // Another client may have asked the same.
      const known = this.#recall(upstream, question.url);
      if (known === undefined && round === 0) this.countsOf(plan.name).evaluations += 1;
      const step = known === undefined ? await file.find(question, names) : undefined;
      upstream.turns.end();
      if (step === undefined) return known as Outcome<PacWay>;
      if (step.kind !== "needs") return this.#conclude(asked, step);
      const { name } = step;
      const found = await this.#resolve(name, client);
      if (!found.ok) return found;
      names[name] = found.value;
    }
    return this.#conclude(asked, { kind: "failed", why: `asked for more than ${MAX_NAMES} names` });
  }

  #conclude(asked: Asked, step: Exclude<PacStep, { kind: "needs" }>): Outcome<PacWay> {
    const { plan, upstream, question, file, version } = asked;
    const result = step.kind === "answer" ? readPacResult(step.text) : undefined;
    const answered = result?.ok === true ? upstream.ways.find(result.choices) : refuse(plan).failure;
    if (step.kind === "failed") this.#options.report(plan.name, step.why);
    else if (result?.ok === false) this.#options.report(plan.name, `gave an answer that ${result.reason}`);
    // What an earlier file said is void.
    if (file.version === version) this.#remember(upstream, question.url, answered);
    return readAnswer(answered) ?? refuse(plan);
  }

  #recall({ answers }: PacUpstream, url: string): Outcome<PacWay> | undefined {
    const known = answers.get(url);
    if (known === undefined || known.until <= this.#now()) return undefined;
    answers.delete(url);
    answers.set(url, known);
    return readAnswer(known.answered);
  }

  /** The addresses of a name for a file: none when it has none. Only a client that asks for too much gets a failure. */
  async #resolve(name: string, client: Ip): Promise<Outcome<KnownNames[string]>> {
    const parsed = parseHost(name);
    if (!parsed.ok) return succeed([]);
    const limit = new TimeLimit(NAME_MS);
    const resolved = await resolveHost(parsed.host, this.#options.resolver, limit, client);
    limit.release();
    if (resolved.ok) return succeed(resolved.value.map(({ text }) => text));
    return resolved.failure.detail === "too_many_lookups" ? resolved : succeed([]);
  }

  #know(plan: PacPlan): PacUpstream {
    let upstream = this.#upstreams.get(plan);
    if (upstream === undefined) this.#upstreams.set(plan, (upstream = new PacUpstream(plan)));
    return upstream;
  }

  #find(plan: PacPlan, file: PacFile): PacUpstream {
    const upstream = this.#know(plan);
    if (upstream.version !== file.version) {
      upstream.version = file.version;
      upstream.answers.clear();
      upstream.underWay.clear();
    }
    return upstream;
  }

  #remember({ answers }: PacUpstream, url: string, answered: NamedWay | Failure): void {
    answers.set(url, { answered, until: this.#now() + ("way" in answered ? ANSWER_MS : FAILURE_MS) });
    if (answers.size <= MAX_ANSWERS) return;
    const [oldest] = answers.keys();
    if (oldest !== undefined) answers.delete(oldest);
  }
}

/** A question to a file, and for whom it is. */
interface Asked {
  readonly plan: PacPlan;
  readonly upstream: PacUpstream;
  readonly file: PacFile;
  /** Of the file that is asked. */
  readonly version: number;
  readonly question: PacQuestion;
  readonly client: Ip;
}

function describeMissing({ name }: PacPlan, file: PacFile | undefined): string {
  return `the PAC file of ${name} ${file?.missing ?? "is not in use any more"}`;
}

/** What the client is told. What went wrong in the file is for the operator. */
function refuse({ name }: PacPlan, why = "gave no usable answer"): ReturnType<typeof fail> {
  return fail("pac_failed", { note: `the PAC file of ${name} ${why}`, nextHop: name });
}

/** The outcome for a request; undefined when the way is forgotten, and the file has to be asked again. */
function readAnswer(answered: NamedWay | Failure): Outcome<PacWay> | undefined {
  if (!("way" in answered)) return { ok: false, failure: answered };
  return answered.way === undefined ? undefined : succeed(answered.way);
}

/** The outcome, or the failure when the limit is reached first. The evaluation goes on, for those that come after. */
function waitWithin(evaluation: Promise<Outcome<PacWay>>, limit: TimeLimit, plan: PacPlan): Promise<Outcome<PacWay>> {
  return new Promise((resolve) => {
    limit.whenOver(() =>
      resolve(limit.over === "client_gone" ? fail("client_gone") : refuse(plan, "did not answer in time")),
    );
    void evaluation.then((outcome) => {
      limit.forget();
      resolve(outcome);
    });
  });
}
