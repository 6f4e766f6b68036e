import { AddressSet } from "../address/address-set.ts";
import { parseCidr } from "../address/cidr.ts";
import { type Ip, parseIp } from "../address/ip.ts";
import type { Conn, ConnSink } from "../net/conn/conn.ts";
import type { Descriptors } from "../net/conn/descriptors.ts";
import { knowLookups, NOT_FOUND, type Resolver } from "../net/dns/resolver.ts";
import type { Sockets } from "../net/sockets.ts";
import type { Connect, ConnectAttempt, ConnectTarget } from "../net/runtime/connect.ts";
import { type Authenticator, createAuthenticator } from "../proxy/auth/authenticate.ts";
import { createUserStore } from "../proxy/auth/user-store.ts";
import { compileRules } from "../proxy/policy/compile-rules.ts";
import type { Rule } from "../proxy/policy/policy.ts";
import type { TargetPattern } from "../proxy/policy/target-index.ts";
import { type AccessFormat, AccessLog } from "../proxy/record/access-log.ts";
import type { Limits } from "../proxy/limit/limits.ts";
import type { Runtime } from "../proxy/runtime.ts";
import type { TunnelEngine } from "../proxy/flow/tunnel.ts";
import { Secret } from "../secret.ts";
import { Gate } from "./gate.ts";

/** Milliseconds before it begins: a client that waits for the port comes sooner. */
const DELAY_MS = 50;
/** Milliseconds after which it ends in any case. */
const LIMIT_MS = 1000;
/** Milliseconds between two looks at the clock and at the clients. */
const LOOK_MS = 10;
/** Connections of its own. More make the first thousand tunnels cheaper, and the second thousand dearer. */
const MOST_CLIENTS = 600;
/** Of these at once: one turn of the event loop may have to handle so many before a real client. */
const AT_ONCE = 4;

const HOST = "127.0.0.1";
const NAME = "origin.invalid";
const USER = "warm-up";

const message = new Uint8Array(64).fill(0x7a);
/** Bytes that a tunnel carries, both ways together. */
export const warmUpTunnelBytes: number = 2 * message.length;

export interface WarmUpPlan {
  readonly runtime: Runtime;
  readonly accessFormat: AccessFormat;
  readonly tunnel: TunnelEngine;
  /** Connects nothing but its own listeners. */
  readonly network: Pick<Sockets, "listen" | "connect">;
  readonly descriptors: Descriptors;
  /** Whether there is a client, or was one that has sent something. */
  hasClients(): boolean;
}

/**
 * Runs tunnels through a second proxy inside this process, so that the runtime
 * compiles the code that serves them before the first client comes. Without it
 * the first thousand tunnels cost more than twice the CPU.
 *
 * The second proxy is a gate with users and rules of its own and reaches nothing
 * but the in-process network: nothing of it shows in logs or metrics, no hook and
 * no upstream is asked. It pauses when a client connects and ends when that one
 * sends something. Returns what stops it at once, and resolves when its tunnels have
 * ended.
 */
export function startWarmUp(plan: WarmUpPlan): () => Promise<void> {
  const ip = parseIp(HOST);
  if (ip === undefined) throw new Error(`${HOST} is no address`);
  const warmUp = new WarmUp(plan, ip);
  return () => warmUp.stop();
}

class WarmUp implements ClientOwner {
  readonly #plan: WarmUpPlan;
  readonly #ip: Ip;
  /** Undefined when its memory is given back. */
  #gate: Gate | undefined;
  readonly #port: number;
  readonly #scripts: readonly Script[];
  readonly #running = new Set<WarmUpClient>();
  readonly #startedAt = performance.now();
  readonly #timer = setInterval(() => this.#look(), LOOK_MS);
  #clients = 0;
  /** Set at its end; fulfilled when its tunnels have ended. */
  #over: Promise<void> | undefined;

  constructor(plan: WarmUpPlan, ip: Ip) {
    const { network } = plan;
    this.#plan = plan;
    this.#ip = ip;
    const gate = new Gate({
      runtime: replaceSettings(plan.runtime),
      sockets: { listen: network.listen, connect: network.connect, close: () => {} },
      tunnel: plan.tunnel,
      descriptors: plan.descriptors,
      accessLog: new AccessLog({ format: plan.accessFormat, sink: () => {} }),
      application: USER,
      resolver: createResolver(ip),
      // The same mistake would end the connection of a client, and is reported then.
      reportBug: () => void this.stop(),
      reportHook: () => {},
    });
    this.#gate = gate;
    const bound = gate.listen([{ host: HOST, port: 0, protocols: new Set(["http"]), proxyFrom: new AddressSet([]) }]);
    const origin = network.listen(HOST, 0, (conn) => conn.attach(new Origin(conn)));
    if (!bound.ok || !origin.ok) throw new Error("The in-process network refused a listener");
    this.#port = bound.listeners[0]?.port ?? 0;
    this.#scripts = writeScripts(origin.listener.port, plan.runtime.authenticator.required);
  }

  /** Ends it at once: what is under way is reset. */
  stop(): Promise<void> {
    clearInterval(this.#timer);
    return this.#end();
  }

  mayGoOn(): boolean {
    if (!this.#plan.hasClients()) return true;
    this.#abortClients();
    return false;
  }

  clientEnded(client: WarmUpClient, answered: boolean): void {
    this.#running.delete(client);
    if (!answered) void this.stop();
    // Later: the event loop is in the middle of a connection.
    else if (this.#clients < MOST_CLIENTS) queueMicrotask(() => this.#fill());
  }

  #look(): void {
    const age = performance.now() - this.#startedAt;
    if (this.#over !== undefined) this.#giveMemoryBack();
    else if (age > LIMIT_MS || (this.#clients >= MOST_CLIENTS && this.#running.size === 0)) void this.#end();
    else if (age > DELAY_MS) this.#fill();
  }

  #fill(): void {
    while (this.#over === undefined && this.#running.size < AT_ONCE && this.#clients < MOST_CLIENTS && this.mayGoOn()) {
      const script = this.#scripts[this.#clients % this.#scripts.length] ?? [];
      this.#clients += 1;
      const client = new WarmUpClient(script, this);
      this.#running.add(client);
      client.start(this.#plan.network.connect, { ip: this.#ip, port: this.#port });
    }
  }

  #end(): Promise<void> {
    if (this.#over !== undefined) return this.#over;
    this.#abortClients();
    return (this.#over = this.#gate?.stop() ?? Promise.resolve());
  }

  #abortClients(): void {
    for (const client of this.#running) client.abort();
    this.#running.clear();
  }

  /** A turn after the end, when the last connections are gone. A client would have to wait meanwhile. */
  #giveMemoryBack(): void {
    clearInterval(this.#timer);
    this.#gate = undefined;
    // `Bun.shrink` would free the compiled code, too.
    if (!this.#plan.hasClients()) Bun.gc(true);
  }
}

/** The settings of the proxy, with users, rules and limits of the warm-up: none of them may ask or refuse anybody. */
function replaceSettings(runtime: Runtime): Runtime {
  const { limits, authenticator } = runtime;
  return {
    ...runtime,
    // Nobody checks their members from here.
    upstreams: new Map(),
    limits: liftLimits(limits),
    authenticator: createUsers(authenticator.required),
    policy: compileRules(writeRules(), { kind: "deny" }),
  };
}

/** Rules with a range and with a name, as most configurations have. */
function writeRules(): Rule[] {
  const range = parseCidr(`${HOST}/32`);
  if (!range.ok) throw new Error(`${HOST}/32 is no range`);
  return [allow({ kind: "name", name: NAME }), allow({ kind: "cidr", cidr: range.cidr })];
}

function allow(host: TargetPattern["host"]): Rule {
  return { name: USER, to: [{ host, ports: [] }], verdict: { kind: "allow", allowPrivate: true, via: undefined } };
}

function createUsers(required: boolean): Authenticator {
  const made = createUserStore([{ name: USER, password: new Secret(USER) }]);
  return required && made.ok ? createAuthenticator({ users: made.store }) : createAuthenticator();
}

/** Every name is the origin. */
function createResolver(ip: Ip): Resolver {
  const found = knowLookups(
    { ok: true, name: NAME, addresses: [ip] },
    { ok: false, detail: "dns_error", note: NOT_FOUND },
  );
  return { find: () => found, mayComplete: () => false };
}

/** What a client sends, each part when it has an answer to the one before. */
type Script = readonly Uint8Array[];

/** Tunnels by address and by name. Forwarded requests would add 3 MB of compiled code. */
function writeScripts(originPort: number, isLoginRequired: boolean): Script[] {
  const login = isLoginRequired ? `Proxy-Authorization: Basic ${btoa(`${USER}:${USER}`)}\r\n` : "";
  return [HOST, NAME].map((host) => {
    const authority = `${host}:${originPort}`;
    const head = `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\nUser-Agent: warm-up\r\n${login}\r\n`;
    return [Buffer.from(head), message];
  });
}

/** The warm-up, as its clients see it. */
interface ClientOwner {
  /** False when a real client has come: all others are aborted then. */
  mayGoOn(): boolean;
  /** A client ended by itself. `answered` is false when it was refused. */
  clientEnded(client: WarmUpClient, answered: boolean): void;
}

/** A client with one connection. */
class WarmUpClient implements ConnSink {
  readonly #script: Script;
  readonly #owner: ClientOwner;
  #attempt: ConnectAttempt | undefined;
  #conn: Conn | undefined;
  #answers = 0;
  #isOver = false;

  constructor(script: Script, owner: ClientOwner) {
    this.#script = script;
    this.#owner = owner;
  }

  start(connect: Connect, target: ConnectTarget): void {
    this.#attempt = connect(target, (result) => {
      if (!result.ok) return this.#end();
      this.#conn = result.conn;
      result.conn.attach(this);
      this.#say();
    });
  }

  abort(): void {
    this.#isOver = true;
    this.#attempt?.cancel();
    this.#conn?.reset();
  }

  data(chunk: Uint8Array): void {
    if (!this.#owner.mayGoOn()) return;
    if (this.#answers === 0 && chunk[STATUS_AT] !== STATUS_2XX) return this.#end();
    this.#answers += 1;
    this.#say();
  }

  end(): void {
    this.#conn?.close();
  }

  drain(): void {}

  close(): void {
    this.#end();
  }

  #say(): void {
    const next = this.#script[this.#answers];
    // FIN, then the server's: closing a socket pair at once would look like a reset of both directions.
    if (next === undefined) this.#conn?.shutdown();
    else this.#conn?.write(next);
  }

  #end(): void {
    if (this.#isOver) return;
    this.abort();
    this.#owner.clientEnded(this, this.#answers > 0);
  }
}

/** Where the status code of an answer begins, and with what. */
const STATUS_AT = "HTTP/1.1 ".length;
const STATUS_2XX = 0x32;

/** The server: sends everything back. */
class Origin implements ConnSink {
  readonly #conn: Conn;

  constructor(conn: Conn) {
    this.#conn = conn;
  }

  data(chunk: Uint8Array): void {
    this.#conn.write(chunk);
  }

  end(): void {
    this.#conn.close();
  }

  drain(): void {}

  close(): void {}
}

function liftLimits(limits: Limits): Limits {
  const none = { connections: 0, rate: undefined, bandwidth: undefined };
  return {
    ...limits,
    inAll: { ...none, connections: MOST_CLIENTS },
    perClient: none,
    perUser: { ...none, quota: undefined },
    users: new Map(),
    hasRequestLimits: false,
    hasQuotas: false,
    perTarget: none,
  };
}
