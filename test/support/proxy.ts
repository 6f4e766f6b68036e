import { checkConfig } from "../../src/config/check.ts";
import { type CompiledConfig, compileConfig } from "../../src/config/compile.ts";
import { createOwnName } from "../../src/config/forward.ts";
import { type Checked, formatProblem } from "../../src/config/problem.ts";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { type Daemon, type DaemonOptions, startDaemon } from "../../src/daemon.ts";
import type { Resolver } from "../../src/net/dns/resolver.ts";
import type { ReloadOutcome } from "../../src/reloader.ts";
import { connectSaying } from "./connect-saying.ts";
import { connectRaw, type RawPeer } from "./raw-peer.ts";
import { requireReactor } from "./require-reactor.ts";
import { waitFor } from "./wait-for.ts";

export { waitFor } from "./wait-for.ts";

/** A real daemon on a free loopback port, with what it logs at hand. */
export interface TestProxy extends AsyncDisposable {
  readonly daemon: Daemon;
  readonly port: number;
  /** Access records so far, in order. */
  readonly records: Record<string, unknown>[];
  /** What the operator was told. */
  readonly messages: string[];
  /** The record number `index`, once it is written. */
  record(index?: number): Promise<Record<string, unknown>>;
  connect(): Promise<RawPeer>;
  /** Connects, sends a CONNECT for `target` and waits for the head of the answer. */
  tunnel(target: string, fields?: Record<string, string>): Promise<{ peer: RawPeer; head: string }>;
  /** Sends `bytes` on a new connection and gives everything that comes back until the end. */
  exchange(bytes: string | Uint8Array): Promise<string>;
  metrics(): Promise<string>;
  /** Reloads with that configuration in the place of the one before. */
  reload(config: PenstockConfig, files?: Readonly<Record<string, string>>): Promise<ReloadOutcome>;
  /** Asks the sidecar, with its token. */
  ask(path: string, method?: string): Promise<Response>;
  /** The configuration that the next reload reads. */
  write(config: PenstockConfig, files?: Readonly<Record<string, string>>): void;
}

export interface TestProxyOptions {
  readonly resolver?: Resolver;
  readonly files?: Readonly<Record<string, string>>;
  readonly variables?: Readonly<Record<string, string>>;
  /** It opens an event loop of its own, as outside of tests. */
  readonly ownEventLoop?: boolean;
  /** Parts of a hand-over. */
  readonly daemon?: Pick<DaemonOptions, "successor" | "successors" | "onTakenOver">;
}

/** The token of every test's sidecar. */
const TOKEN = "scenario-token";

/** A rule that lets a test reach its own servers on loopback. */
export const allowLoopback: { name: string; to: string[]; allow: boolean; allowPrivate: boolean } = {
  name: "loopback",
  to: ["127.0.0.0/8", "::1/128"],
  allow: true,
  allowPrivate: true,
};

export async function startProxy(config: PenstockConfig = {}, options: TestProxyOptions = {}): Promise<TestProxy> {
  let written = { config, files: options.files };
  const ownName = createOwnName();
  const compile = (): Checked<CompiledConfig> => {
    const raw = {
      listen: [{ port: 0 }],
      rules: [allowLoopback],
      sidecar: { port: 0, token: TOKEN },
      log: { access: "json" as const },
      ...written.config,
    };
    const checked = checkConfig(raw);
    if (!checked.ok) return checked;
    const materials = {
      files: new Map(Object.entries(written.files ?? {})),
      variables: options.variables ?? {},
      terminal: false,
      folder: process.cwd(),
    };
    return compileConfig(checked.value, materials, ownName);
  };
  const compiled = compile();
  if (!compiled.ok) throw new Error(compiled.problems.map(formatProblem).join("\n"));

  const records: Record<string, unknown>[] = [];
  const messages: string[] = [];
  const started = await startDaemon(compiled.value, {
    accessSink: (text) => {
      for (const line of text.trimEnd().split("\n")) records.push(JSON.parse(line) as Record<string, unknown>);
    },
    tell: (message) => messages.push(message),
    load: async () => {
      const again = compile();
      const rest = { warnings: [], files: [] };
      return again.ok ? { ok: true, value: { compiled: again.value }, ...rest } : { ...again, ...rest };
    },
    ...(options.resolver && { resolver: options.resolver }),
    ...options.daemon,
    ...(options.ownEventLoop !== true && { eventLoop: requireReactor() }),
  });
  if (!started.ok) throw new Error(started.message);
  const { daemon } = started;
  const port = daemon.listeners[0]?.port ?? 0;

  const ask = (path: string, method = "GET") =>
    fetch(`http://127.0.0.1:${daemon.sidecar?.port}${path}`, {
      method,
      headers: { Authorization: `Bearer ${TOKEN}` },
    });
  const write = (next: PenstockConfig, files = written.files) => {
    written = { config: next, files };
  };
  return {
    daemon,
    port,
    ask,
    write,
    reload(next, files) {
      write(next, files);
      return daemon.reload();
    },
    records,
    messages,
    async record(index = 0) {
      return waitFor(() => records[index], `access record ${index}`);
    },
    connect: () => connectRaw(port),
    async tunnel(target, fields = {}) {
      const peer = await connectRaw(port);
      const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
      peer.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${lines.join("")}\r\n`);
      await peer.untilText("\r\n\r\n");
      const text = peer.take().toString("latin1");
      const end = text.indexOf("\r\n\r\n") + 4;
      if (!text.startsWith("HTTP/1.1 200 ")) {
        await peer.untilEnd();
        return { peer, head: text + peer.text };
      }
      if (text.length > end) peer.onData(Buffer.from(text.slice(end), "latin1"));
      peer.receivedBytes = text.length - end;
      return { peer, head: text.slice(0, end) };
    },
    async exchange(bytes) {
      using peer = await connectSaying(port, bytes);
      await peer.untilEnd();
      return peer.text;
    },
    async metrics() {
      return (await ask("/metrics")).text();
    },
    async [Symbol.asyncDispose]() {
      await daemon.stop();
      // No test passes over a mistake that the proxy admits.
      const admitted = messages.filter((message) => message.startsWith("A mistake"));
      if (admitted.length > 0) throw new Error(admitted.join("\n"));
    },
  };
}

/** `Proxy-Authorization: Basic …` of a user. */
export function basic(user: string, password: string): Record<string, string> {
  return { "Proxy-Authorization": `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` };
}
