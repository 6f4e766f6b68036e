import type { Conn } from "../../src/net/conn/conn.ts";
import { Secret } from "../../src/secret.ts";
import { dial, type DialOutcome } from "../../src/proxy/dial/dial.ts";
import type { Failure } from "../../src/proxy/failure.ts";
import { type Login, resolveLogin } from "../../src/proxy/route/hop-login.ts";
import type { Hop, HopKind } from "../../src/proxy/route/hop.ts";
import { formatAddress } from "../../src/proxy/record/access-record.ts";
import { Pools } from "../../src/proxy/upstream/pools.ts";
import { Upstreams } from "../../src/proxy/upstream/upstreams.ts";
import { createFakeResolver } from "./fake-resolver.ts";
import { makeEndpoint } from "./make-endpoint.ts";
import { makeIp } from "./make-policy.ts";
import type { AllowDecision, Grant } from "../../src/proxy/policy/decision.ts";
import type { DialServices } from "../../src/proxy/dial/dial-context.ts";

/** A decision that lets a test reach its own servers on loopback. */
export const allowInside: AllowDecision = { verdict: "allow", rule: "test", allowPrivate: true, via: [] };
export const allowOutside: AllowDecision = { verdict: "allow", rule: "test", allowPrivate: false, via: [] };

export interface DialSetting {
  readonly hops?: readonly Hop[];
  readonly grant?: Grant;
  /** Shared by dials that are to know each other's upstreams. */
  readonly upstreams?: Upstreams;
  readonly names?: Parameters<typeof createFakeResolver>[0];
  readonly services?: Partial<DialServices>;
  readonly client?: Conn;
  readonly connectMs?: number;
  readonly sourceAddress?: string;
}

/** Dials `target` as a connection would, without the rest of the proxy. */
export async function dialTarget(target: string, setting: DialSetting = {}): Promise<DialOutcome> {
  const { hops = [], sourceAddress, connectMs = 10_000 } = setting;
  const requester = { runtime: { timeouts: { connectMs } }, client: makeIp("203.0.113.7"), clientPort: 50_123 };
  const route = { name: hops.map((hop) => hop.name).join(" > "), hops, ...(sourceAddress && { sourceAddress }) };
  const services: DialServices = {
    resolver: createFakeResolver(setting.names ?? {}),
    own: { has: () => false },
    upstreams: setting.upstreams ?? new Upstreams(),
    pools: new Pools(),
    ...setting.services,
  };
  const grant = setting.grant ?? { decision: allowInside };
  return dial({ requester, client: setting.client, target: makeEndpoint(target), route, grant }, services);
}

/** Why the dial failed; a test that expected it to fail fails when it did not. */
export async function dialInVain(target: string, setting: DialSetting = {}): Promise<Failure> {
  const outcome = await dialTarget(target, setting);
  if (!outcome.ok) return outcome.failure;
  outcome.value.conn.reset();
  throw new Error(`${target} was reached at ${formatAddress(outcome.value.address)}`);
}

/** The connection that the dial gives, closed with the test. */
export async function dialWell(target: string, setting: DialSetting = {}): Promise<TestConn> {
  const outcome = await dialTarget(target, setting);
  if (!outcome.ok) throw new Error(`${target}: ${JSON.stringify(outcome.failure)}`);
  return new TestConn(outcome.value.conn);
}

export function makeHop(
  kind: HopKind,
  port: number,
  more: Partial<Hop> & { user?: string; password?: string } = {},
): Hop {
  const { user, password, ...rest } = more;
  return {
    name: "up",
    kind,
    endpoint: makeEndpoint(`127.0.0.1:${port}`),
    ...(user !== undefined && { credentials: { user, password: new Secret(password ?? "") } }),
    ...rest,
  };
}

/** The credentials of a hop whose user name has no placeholders. */
export function loginAt(hop: Hop): Login | undefined {
  const login = resolveLogin(hop, {});
  if (!login.ok) throw new Error(login.failure.note);
  return login.value;
}

/** A connection with everything that comes out of it at hand. */
export class TestConn implements Disposable {
  readonly conn: Conn;
  ended = false;
  closed: "in order" | "reset" | undefined;
  receivedBytes = 0;
  /** Whether chunks are counted and let go, for volumes. */
  forget = false;
  #chunks: Buffer[] = [];
  #rest: Uint8Array[] = [];
  #drained: (() => void)[] = [];

  constructor(conn: Conn) {
    this.conn = conn;
    conn.attach({
      data: (chunk) => {
        this.receivedBytes += chunk.length;
        if (!this.forget) this.#chunks.push(Buffer.from(chunk));
      },
      end: () => {
        this.ended = true;
      },
      drain: () => this.#flush(),
      close: (reset) => {
        this.closed = reset ? "reset" : "in order";
      },
    });
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.received.toString("latin1");
  }

  /** Writes in order; the promise tells when the connection has taken it all. */
  write(bytes: Uint8Array | string): Promise<void> {
    this.#rest.push(Buffer.from(bytes as string, "latin1"));
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#drained.push(resolve);
    this.#flush();
    return promise;
  }

  #flush(): void {
    for (let head = this.#rest[0]; head !== undefined; head = this.#rest[0]) {
      const taken = this.conn.write(head);
      if (taken < 0) throw new Error("the connection takes no more writes");
      if (taken < head.length) {
        this.#rest[0] = head.subarray(taken);
        return;
      }
      this.#rest.shift();
      this.#drained.shift()?.();
    }
  }

  [Symbol.dispose](): void {
    this.conn.reset();
  }
}
