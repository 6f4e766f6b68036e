import type { Duplex } from "node:stream";
import type { Endpoint } from "../../address/endpoint.ts";
import { type Host, hostFromIp } from "../../address/host.ts";
import { ConnStream } from "../../net/conn/conn-stream.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { StreamConn } from "../../net/conn/stream-conn.ts";
import { probeTls } from "../../net/runtime/tls-probe.ts";
import { formatBasicCredentials } from "../../protocol/http1/basic-credentials.ts";
import { writeRequestHead } from "../../protocol/http1/write-head.ts";
import { TimeLimit } from "../../net/conn/time-limit.ts";
import { openTunnel } from "../../proxy/dial/open-tunnel.ts";
import { type Login, resolveLogin } from "../../proxy/route/hop-login.ts";
import type { Hop } from "../../proxy/route/hop.ts";
import { Upstream } from "../../proxy/upstream/upstreams.ts";
import { version } from "../../version.ts";
import { exchange } from "./exchange.ts";
import { explainAnswer, explainHandshake, writeProxy } from "./explain-handshake.ts";
import { Recording } from "./recording.ts";
import type { SecureRecord, TraceFailure, TraceRecord } from "./trace-record.ts";
import { formatTargetAuthority, formatTraceTarget, type TraceRequest } from "./trace-request.ts";
import { describeFailing, type Step, type Stop, THE_PROXY, type TraceMeans, TraceSocket } from "./trace-socket.ts";

/** Lines of the key log: a handshake has five. */
const MAX_SECRETS = 64;

/** Makes a connection as `request` says, sends a GET, and gives everything that was seen until the end or until it failed. Never rejects. */
export async function runTrace(request: TraceRequest, means: TraceMeans): Promise<TraceRecord> {
  const trace = new Trace(request, means);
  await trace.run();
  return trace.record;
}

class Trace {
  readonly record: TraceRecord;
  readonly #request: TraceRequest;
  readonly #limit: TimeLimit;
  readonly #socket: TraceSocket;
  readonly #upstream = new Upstream("proxy");

  constructor(request: TraceRequest, means: TraceMeans) {
    this.#request = request;
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
    this.#socket = new TraceSocket(this.record, means, this.#limit);
  }

  async run(): Promise<void> {
    const stop = await this.#walk();
    if (stop !== undefined) this.record.failure = this.#explain(stop);
    await this.#socket.close();
    this.#limit.release();
    this.record.endedAt = this.#socket.now();
  }

  /** Time that ran out explains whatever broke because of it. */
  #explain({ stage, text }: NonNullable<Stop>): TraceFailure {
    const late = this.#limit.over === "deadline" ? `Not done after ${this.#request.timeoutMs} ms` : undefined;
    const much = this.#socket.overflowed ? "The server sent more than a trace keeps" : undefined;
    return { stage, at: this.#socket.now(), text: much ?? late ?? text };
  }

  async #walk(): Promise<Stop> {
    const { proxy, target } = this.#request;
    const reached = await (proxy === undefined ? this.#socket.connect(target.endpoint) : this.#reachProxy(proxy));
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

  /** To the proxy and past it; on another connection if that is what its challenge takes. */
  async #reachProxy(proxy: Hop): Promise<Step<Conn>> {
    // What is left to do when TLS stands is what a plain proxy wants.
    const asked: Hop = proxy.kind === "https" ? { ...proxy, kind: "http" } : proxy;
    for (;;) {
      const connected = await this.#socket.connect(proxy.endpoint, THE_PROXY);
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
      conn = this.#socket.tap(new StreamConn(stream, socket), record.inside);
    }
    if (this.#forwards) return { ok: true, value: conn };
    const destination = await this.#chooseDestination(proxy);
    if (!destination.ok) return destination;
    const leg = { conn, hop: asked, login: findLogin(asked), upstream: this.#upstream, limit: this.#limit };
    const opened = await openTunnel(leg, destination.value);
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
    const answers = await Promise.all(this.#socket.ask(host).map(({ answer }) => answer));
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
    const end = await exchange(stream, this.#writeHead(), recording, this.#socket.now);
    this.#limit.forget();
    stream.end();
    this.record.cut = end.kind === "cut";
    if (end.kind !== "failed") return undefined;
    return { stage: "http", text: explainAnswer(recording.bytesOf("server"), this.#request) ?? end.text };
  }

  #writeHead(): Uint8Array {
    const { target, proxy } = this.#request;
    const login = this.#forwards ? proxy && findLogin(proxy) : undefined;
    const shown = login && formatBasicCredentials(login.user, login.password);
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
}

/** The user name in the URL of a proxy has no placeholders. */
function findLogin(proxy: Hop): Login | undefined {
  const login = resolveLogin(proxy, {});
  return login.ok ? login.value : undefined;
}
