import { type ServingExecutable, startExecutable } from "./executable.ts";
import { ask, ok, serveHttp } from "./http-origin.ts";
import { type MemberKind, memberKinds, MemberProgram } from "./member-programs.ts";
import { connectRaw, listenEcho } from "./raw-peer.ts";
import { makeFolder } from "./temporary-folder.ts";

const TOKEN = "dying-member-token";
const MEMBERS = 5;

/** Milliseconds for a client: what takes longer is a fault of the proxy. */
const PATIENCE_MS = 60_000;

export interface DyingMemberOptions {
  /** Name of a program of `memberKinds`. */
  readonly program: string;
  /** New connections in a second, begun at their times whatever became of those before. */
  readonly perSecond: number;
  /** Times that the first member is killed and started again. */
  readonly deaths: number;
  /** The member is stopped (`SIGSTOP`) instead and goes on again, and the clients send `GET`. */
  readonly stops?: boolean;
}

export interface DyingMemberResult {
  readonly connections: number;
  /** What went wrong before a tunnel was open, by what clients saw. */
  readonly failed: Readonly<Record<string, number>>;
  /** Tunnels that were open and ended before the echo came back: their member was killed. */
  readonly cut: number;
  /** Connections under way when a member was killed. */
  readonly underWay: number;
  /** Milliseconds from the beginning of a connection to its tunnel, or to its response. */
  readonly setUpMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly ejections: number;
}

/** Opens connections at a constant rate through five members, of which one dies and comes back again and again. */
export async function runDyingMember(options: DyingMemberOptions): Promise<DyingMemberResult> {
  const { program, perSecond, deaths, stops = false } = options;
  const kind = memberKinds.find(({ name }) => name === program);
  if (kind === undefined) throw new Error(`There is no member ${program}`);
  await using stack = new AsyncDisposableStack();
  const echo = stack.use(listenEcho());
  const origin = stack.use(serveHttp(() => ok("page")));
  const members = await Promise.all(Array.from({ length: MEMBERS }, () => MemberProgram.start(kind, "open")));
  for (const member of members) stack.use(member);
  const folder = stack.use(await makeFolder({ "proxy.config.json": configure(kind, members) }));
  const proxy = stack.use(await startExecutable({ cwd: folder.path }));
  const sidecar = await proxy.sidecarUrl();
  const load = new Load(proxy, { target: `127.0.0.1:${echo.port}`, page: stops ? origin.uri() : undefined }, perSecond);
  const [victim] = members;
  if (victim === undefined) throw new Error("There is no member");
  let ejections = 0;
  const state = async () => {
    const answer = await fetch(`${sidecar}/upstreams/exits`, { headers: { Authorization: `Bearer ${TOKEN}` } });
    const { members: all } = (await answer.json()) as { members: { health: string; ejections: number }[] };
    return all[0] ?? { health: "", ejections: 0 };
  };
  const until = async (isThere: (now: Awaited<ReturnType<typeof state>>) => boolean, what: string): Promise<void> => {
    const deadline = performance.now() + 60_000;
    while (!isThere(await state())) {
      if (performance.now() > deadline) throw new Error(`Waited in vain for ${what}`);
      await Bun.sleep(20);
    }
  };
  for (let death = 0; death < deaths; death++) {
    await load.count(() => victim.signal(stops ? "SIGSTOP" : "SIGKILL"));
    // The second one is that of a trial.
    await until((now) => now.ejections > ejections + 1, "two ejections");
    await (stops ? victim.signal("SIGCONT") : victim.restart());
    await until(({ health }) => health === "healthy", "its return");
    ({ ejections } = await state());
  }
  await load.end();
  return { ...load.result, ejections };
}

function configure(kind: MemberKind, members: readonly MemberProgram[]): object {
  return {
    listen: ["127.0.0.1:0"],
    upstreams: {
      exits: {
        pool: members.map(({ port }) => `${kind.scheme}://127.0.0.1:${port}`),
        eject: { failures: 3, for: "500ms", max: "1s" },
      },
    },
    rules: [{ to: ["127.0.0.0/8"], allowPrivate: true, via: "exits" }],
    sidecar: { port: 0, token: TOKEN },
    log: { access: "off" },
  };
}

/** What clients ask for: a tunnel to the target, or a page when there is one. */
interface Asked {
  readonly target: string;
  readonly page: string | undefined;
}

/** Clients that begin at a constant rate. */
class Load {
  #underWay = 0;
  #underWayAtDeaths = 0;
  readonly #proxy: ServingExecutable;
  readonly #asked: Asked;
  readonly #setUp: number[] = [];
  readonly #failed: Record<string, number> = {};
  #connections = 0;
  #cut = 0;
  readonly #running = new Set<Promise<void>>();
  readonly #timer: Timer;

  constructor(proxy: ServingExecutable, asked: Asked, perSecond: number) {
    this.#proxy = proxy;
    this.#asked = asked;
    const begun = performance.now();
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - begun) * perSecond) / 1000);
      while (this.#connections < due) this.#begin();
    }, 5);
  }

  /** Counts the connections that are under way during a death. */
  async count(death: () => Promise<void>): Promise<void> {
    const before = this.#connections - this.#underWay;
    await death();
    this.#underWayAtDeaths += this.#connections - before;
  }

  async end(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#running);
  }

  get result(): Omit<DyingMemberResult, "ejections"> {
    const sorted = this.#setUp.toSorted((one, other) => one - other);
    const find = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
    return {
      connections: this.#connections,
      failed: this.#failed,
      cut: this.#cut,
      underWay: this.#underWayAtDeaths,
      setUpMs: { p50: find(0.5), p99: find(0.99), max: find(1) },
    };
  }

  #begin(): void {
    this.#connections += 1;
    this.#underWay += 1;
    const running = this.#connect().then(() => {
      this.#underWay -= 1;
      this.#running.delete(running);
    });
    this.#running.add(running);
  }

  async #connect(): Promise<void> {
    const begun = performance.now();
    const { target, page } = this.#asked;
    using peer = await connectRaw(this.#proxy.port);
    const untilText = (text: string) =>
      peer.until((one) => one.text.includes(text) || one.end !== "open" || one.closed, text, PATIENCE_MS);
    peer.write(page === undefined ? `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n` : ask("GET", page));
    await untilText("\r\n\r\n");
    const [line = ""] = peer.text.split("\r\n", 1);
    if (!line.startsWith("HTTP/1.1 200 ")) {
      const what = line === "" ? "no answer" : line;
      this.#failed[what] = (this.#failed[what] ?? 0) + 1;
      return;
    }
    this.#setUp.push(performance.now() - begun);
    if (page !== undefined) return;
    peer.write("ping");
    await untilText("ping");
    if (!peer.text.includes("ping")) this.#cut += 1;
  }
}
