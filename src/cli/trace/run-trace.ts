import type { Duplex } from "node:stream";
import { type Endpoint, formatEndpoint } from "../../address/endpoint.ts";
import { type Host, hostFromIp } from "../../address/host.ts";
import { parseIp } from "../../address/ip.ts";
import { ConnStream } from "../../net/conn/conn-stream.ts";
import type { Conn } from "../../net/conn/conn.ts";
import type { Connect } from "../../net/runtime/connect.ts";
import type { Lookup, Lookups, Resolver } from "../../net/dns/resolver.ts";
import { StreamConn } from "../../net/conn/stream-conn.ts";
import { TappedConn } from "../../net/conn/tapped-conn.ts";
import { probeTls } from "../../net/runtime/tls-probe.ts";
import { formatBasicCredentials } from "../../protocol/http1/basic-credentials.ts";
import { writeRequestHead } from "../../protocol/http1/write-head.ts";
import { raceConnect, RFC_8305_PACE } from "../../proxy/dial/connect-race.ts";
import { openTunnel } from "../../proxy/dial/open-tunnel.ts";
import { lookUpName } from "../../proxy/resolve/resolve-host.ts";
import { explainFailure } from "../../proxy/explain-failure.ts";
import type { Failure } from "../../proxy/failure.ts";
import type { Hop } from "../../proxy/route/route.ts";
import { version } from "../../version.ts";
import { exchange } from "./exchange.ts";
import { explainAnswer, explainHandshake, writeProxy } from "./explain-handshake.ts";
import { Recording } from "./recording.ts";
import type { SecureRecord, TraceFailure, TraceRecord, TraceStage } from "./trace-record.ts";
import { formatTargetAuthority, formatTraceTarget, type TraceRequest } from "./trace-request.ts";
import { TimeLimit } from "../../net/conn/time-limit.ts";

/** What a trace needs of the world. */
export interface TraceMeans {
  readonly resolver: Resolver;
  readonly connect: Connect;
}

/** Milliseconds for the server to close what is over. */
const FAREWELL_MS = 1000;
/** Lines of the key log: a handshake has five. */
const MAX_SECRETS = 64;

/** Makes a connection as `request` says, sends a GET, and gives everything that was seen until the end or until it failed. Never rejects. */
export async function runTrace(request: TraceRequest, means: TraceMeans): Promise<TraceRecord> {
  const trace = new Trace(request, means);
  await trace.run();
  return trace.record;
}

/** What ended the way early; undefined when nothing did. */
type Stop = { readonly stage: TraceStage; readonly text: string } | undefined;
type Step<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly stop: NonNullable<Stop> };

class Trace {
  readonly record: TraceRecord;
  readonly #request: TraceRequest;
  readonly #means: TraceMeans;
  readonly #began = performance.now();
  readonly #limit: TimeLimit;
  #socket: Conn | undefined;
  #overflowed = false;

  constructor(request: TraceRequest, means: TraceMeans) {
    this.#request = request;
    this.#means = means;
    this.#limit = new TimeLimit(request.timeoutMs);
    this.record = {
      request,
      startedAt: Date.now(),
      lookups: [],
      attempts: [],
      challenged: undefined,
      wire: undefined,
      proxyTls: undefined,
      tunnelAt: undefined,
      tls: undefined,
      http: undefined,
      cut: false,
      failure: undefined,
      endedAt: 0,
    };
  }

  async run(): Promise<void> {
    const stop = await this.#walk();
    if (stop !== undefined) this.record.failure = this.#explain(stop);
    await this.#farewell();
    this.#limit.release();
    this.record.endedAt = this.#now();
  }

  readonly #now = (): number => performance.now() - this.#began;

  /** Time that ran out explains whatever broke because of it. */
  #explain({ stage, text }: NonNullable<Stop>): TraceFailure {
    const late = this.#limit.over === "deadline" ? `Not done after ${this.#request.timeoutMs} ms` : undefined;
    const much = this.#overflowed ? "The server sent more than a trace keeps" : undefined;
    return { stage, at: this.#now(), text: much ?? late ?? text };
  }

  async #walk(): Promise<Stop> {
    const { proxy, target } = this.#request;
    const reached = await (proxy === undefined ? this.#connect(target.endpoint) : this.#reachProxy(proxy));
    if (!reached.ok) return reached.stop;
    const inside = new ConnStream(reached.value);
    if (target.scheme === "http") return this.#ask(inside, new Recording());
    const secured = await this.#secure(inside, target.endpoint.host, "tls");
    if (!secured.ok) return secured.stop;
    const stop = this.#judge(secured.value.record, "certificate");
    if (stop === undefined) return this.#ask(secured.value.stream, secured.value.record.inside);
    secured.value.stream.end();
    return stop;
  }

  /** `about`: whose the endpoint is, where it is not the target's. */
  async #connect({ host, port }: Endpoint, about?: string): Promise<Step<Conn>> {
    const { connect } = this.#means;
    const race = await raceConnect(this.#question(host), {
      port,
      source: undefined,
      refuse: () => undefined,
      connect: (target, done) => {
        const address = formatEndpoint({ host: hostFromIp(target.ip), port });
        const attempt = {
          at: this.#now(),
          address,
          endedAt: undefined,
          code: undefined,
        } as TraceRecord["attempts"][number];
        this.record.attempts.push(attempt);
        return connect(target, (result) => {
          attempt.endedAt = this.#now();
          if (!result.ok) attempt.code = result.code;
          done(result);
        });
      },
      limit: this.#limit,
      pace: RFC_8305_PACE,
    });
    if (!race.ok) {
      const stage = race.failure.detail.startsWith("dns_") ? "resolve" : "connect";
      return { ok: false, stop: { stage, text: describeFailing(race.failure, about) } };
    }
    return { ok: true, value: this.#tapSocket(race.value.conn) };
  }

  #tapSocket(conn: Conn): Conn {
    const recording = new Recording();
    const ends = readEnds(conn);
    this.record.wire = { recording, ...ends };
    const tapped = this.#tap(conn, recording);
    this.#socket = tapped;
    return tapped;
  }

  #tap(conn: Conn, recording: Recording): TappedConn {
    return new TappedConn(conn, {
      written: (bytes) => void recording.add(this.#now(), "client", bytes),
      read: (bytes) => {
        if (!recording.add(this.#now(), "server", bytes)) this.#overflow(conn);
      },
      ended: () => {
        recording.endedAt = this.#now();
      },
    });
  }

  /** A server that never stops ends the trace, and not the memory. */
  #overflow(conn: Conn): void {
    this.#overflowed = true;
    // Whoever reads it has this chunk to come.
    queueMicrotask(() => conn.reset());
  }

  #question(host: Host): { family: 4 | 6; answer: Lookup | Promise<Lookup> }[] {
    if (host.kind === "ip") return [{ family: host.ip.family, answer: { ok: true, name: "", addresses: [host.ip] } }];
    // Nothing is gained by giving up a question: the trace ends with the process.
    const lookups = lookUpName(host, this.#means.resolver);
    return ([6, 4] as const).map((family) => ({ family, answer: this.#lookUp(host.text, family, lookups) }));
  }

  async #lookUp(name: string, family: 4 | 6, lookups: Lookups): Promise<Lookup> {
    const at = this.#now();
    const lookup = await lookups[family];
    const answer = lookup.ok ? lookup.addresses.map(({ text }) => text) : lookup.note;
    this.record.lookups.push({ at, name, family, answeredAt: this.#now(), answer });
    return lookup;
  }

  /** To the proxy and past it; on another connection if that is what its challenge takes. */
  async #reachProxy(proxy: Hop): Promise<Step<Conn>> {
    // What is left to do when TLS stands is what a plain proxy wants. One object: a challenge is remembered by it.
    const asked: Hop = proxy.kind === "https" ? { ...proxy, kind: "http" } : proxy;
    for (;;) {
      const connected = await this.#connect(proxy.endpoint, THE_PROXY);
      if (!connected.ok) return connected;
      const passed = await this.#passProxy(connected.value, proxy, asked);
      if (passed.ok || passed.again !== true || this.record.challenged !== undefined) return passed;
      const { wire, proxyTls } = this.record;
      this.record.challenged = { wire, proxyTls };
      this.record.proxyTls = undefined;
      connected.value.reset();
    }
  }

  /** Past the proxy, encrypted if it wants that, and with a tunnel to the target unless it forwards requests. */
  async #passProxy(socket: Conn, proxy: Hop, asked: Hop): Promise<Step<Conn> & { readonly again?: boolean }> {
    let conn = socket;
    if (proxy.kind === "https") {
      const secured = await this.#secure(new ConnStream(socket), proxy.endpoint.host, "proxy-tls");
      if (!secured.ok) return secured;
      const { stream, record } = secured.value;
      const stop = this.#judge(record, "proxy-tls");
      if (stop !== undefined) {
        stream.end();
        return { ok: false, stop };
      }
      conn = this.#tap(new StreamConn(stream, socket), record.inside);
    }
    if (this.#forwards) return { ok: true, value: conn };
    const destination = await this.#chooseDestination(proxy);
    if (!destination.ok) return destination;
    const opened = await openTunnel({ conn, hop: asked, limit: this.#limit }, destination.value);
    if (!opened.ok) {
      const wantsUser = opened.failure.detail === "upstream_credentials" && proxy.credentials === undefined;
      const text = wantsUser
        ? `The proxy wants a user: --proxy ${writeProxy(proxy, "USER:PASSWORD@")}`
        : describeFailing(opened.failure, THE_PROXY);
      const stop = { stage: "proxy", text } as const;
      return { ok: false, stop, again: opened.again !== undefined };
    }
    this.record.tunnelAt = { client: conn.bytesWritten, server: conn.bytesRead };
    return { ok: true, value: conn };
  }

  /** Plain HTTP through an HTTP proxy needs no tunnel: the proxy is asked for the whole URL. */
  get #forwards(): boolean {
    const { proxy, target } = this.#request;
    return target.scheme === "http" && (proxy?.kind === "http" || proxy?.kind === "https");
  }

  /** A `socks5` proxy is given an address, as curl gives it; the others are given the name. */
  async #chooseDestination(proxy: Hop): Promise<Step<Endpoint>> {
    const { host, port } = this.#request.target.endpoint;
    if (proxy.kind !== "socks5" || host.kind === "ip") return { ok: true, value: { host, port } };
    const answers = await Promise.all(this.#question(host).map(({ answer }) => answer));
    const addresses = answers.flatMap((answer) => (answer.ok ? answer.addresses : []));
    const ip = addresses.find(({ family }) => family === 4) ?? addresses[0];
    if (ip !== undefined) return { ok: true, value: { host: hostFromIp(ip), port } };
    return { ok: false, stop: { stage: "resolve", text: `${host.text} has no address` } };
  }

  async #secure(raw: ConnStream, host: Host, stage: "tls" | "proxy-tls") {
    const { version: only, ca } = this.#request;
    const record: SecureRecord = { serverName: host.text, secrets: [], verdict: undefined, inside: new Recording() };
    if (stage === "tls") this.record.tls = record;
    else this.record.proxyTls = record;
    this.#limit.whenOver(() => raw.destroy());
    const probed = await probeTls(
      raw,
      {
        serverName: host.text,
        ...(ca && { ca }),
        // The version that is asked for is meant for the server.
        ...(only && stage === "tls" && { version: only }),
        ...(stage === "tls" && { protocols: ["http/1.1"] }),
      },
      {
        secret: (line) => {
          if (record.secrets.length < MAX_SECRETS) record.secrets.push(line);
        },
      },
    );
    this.#limit.forget();
    if (!probed.ok)
      return { ok: false as const, stop: { stage, text: explainHandshake(probed, stage, this.#request) } };
    record.verdict = probed.verdict;
    return { ok: true as const, value: { stream: probed.stream, record } };
  }

  /** Whether to stop at a server that cannot be trusted. */
  #judge({ verdict }: SecureRecord, stage: "certificate" | "proxy-tls"): Stop {
    if (verdict === undefined || this.#request.insecure) return undefined;
    const hint = "Nothing was sent. Go on with --insecure, or trust its root with --ca";
    if (!verdict.trusted) return { stage, text: `The certificate cannot be trusted (${verdict.reason}). ${hint}` };
    const { nameFault } = verdict;
    return nameFault === undefined ? undefined : { stage, text: `The certificate ${nameFault}. ${hint}` };
  }

  async #ask(stream: Duplex, recording: Recording): Promise<Stop> {
    this.record.http = recording;
    this.#limit.whenOver(() => stream.destroy());
    const end = await exchange(stream, this.#writeHead(), recording, this.#now);
    this.#limit.forget();
    stream.end();
    this.record.cut = end.kind === "cut";
    if (end.kind !== "failed") return undefined;
    return { stage: "http", text: explainAnswer(recording.bytesOf("server"), this.#request) ?? end.text };
  }

  #writeHead(): Uint8Array {
    const { target, proxy } = this.#request;
    const shown =
      this.#forwards && proxy?.credentials
        ? formatBasicCredentials(proxy.credentials.user, proxy.credentials.password)
        : undefined;
    return writeRequestHead({
      method: "GET",
      target: this.#forwards ? formatTraceTarget(target) : target.path,
      fields: [
        { name: "Host", value: formatTargetAuthority(target) },
        { name: "User-Agent", value: `penstock/${version}` },
        { name: "Accept", value: "*/*" },
        ...(shown === undefined ? [] : [{ name: "Proxy-Authorization", value: shown }]),
        { name: "Connection", value: "close" },
      ],
    });
  }

  /** Lets the other side close, and closes anyway. */
  async #farewell(): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined || socket.closed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.record.failure === undefined ? FAREWELL_MS : 0);
    socket.whenClosed = resolve;
    await promise;
    clearTimeout(timer);
    socket.reset();
  }
}

function readEnds(conn: Conn): Pick<NonNullable<TraceRecord["wire"]>, "local" | "remote"> {
  const read = (text: string, port: number) => {
    const ip = parseIp(text);
    if (ip === undefined) throw new Error(`A socket with the address ${text}`);
    return { ip, port };
  };
  return {
    local: read(conn.localAddress, conn.localPort),
    remote: read(conn.remoteAddress, conn.remotePort),
  };
}

/** How a trace calls the proxy that it goes through: there is only one. */
const THE_PROXY = "the proxy";

/** `about`: whom it is about, where that is not the target. */
function describeFailing(failure: Failure, about: string | undefined): string {
  const text = explainFailure(failure, about).replace(/\.$/, "");
  return failure.note === undefined ? text : `${text} (${failure.note})`;
}
