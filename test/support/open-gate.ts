import type { PenstockConfig } from "../../src/config/schema.ts";
import { Gate } from "../../src/gate/gate.ts";
import type { Resolver } from "../../src/net/dns/resolver.ts";
import type { Reactor } from "../../src/net/epoll/reactor.ts";
import { SpareDescriptors } from "../../src/net/libc/spare-descriptors.ts";
import { chooseSockets } from "../../src/net/sockets.ts";
import type { AdoptSocket } from "../../src/proxy/flow/promotion.ts";
import { relay } from "../../src/proxy/flow/relay.ts";
import type { TunnelEngine } from "../../src/proxy/flow/tunnel.ts";
import { AccessLog } from "../../src/proxy/record/access-log.ts";
import { compileForTest } from "./compile-for-test.ts";
import { createFakeResolver } from "./fake-resolver.ts";
import { allowLoopback } from "./proxy.ts";
import { connectRaw, type RawPeer } from "./raw-peer.ts";

/** A gate with an event loop of its own, and what it has written down. */
export interface TestGate extends AsyncDisposable {
  readonly gate: Gate;
  readonly lines: Record<string, unknown>[];
  connect(): Promise<RawPeer>;
  /** Sends a CONNECT and gives the status of the answer, with the connection that it came on. */
  tunnel(target: string, fields?: Record<string, string>): Promise<{ peer: RawPeer; status: string }>;
}

export interface OpenGateOptions {
  /** `auto` when absent. */
  readonly sockets?: "auto" | "runtime";
  /** An event loop that gates share: several on one thread wait for each other. */
  readonly reactor?: Reactor;
  readonly resolver?: Resolver;
  /** Makes the engine of tunnels; the relay when absent. */
  readonly engine?: (adopt: AdoptSocket | undefined) => TunnelEngine;
}

/** Opens a gate on a free loopback port. */
export function openGate(config: PenstockConfig, options: OpenGateOptions = {}): TestGate {
  const compiled = compileForTest({ listen: ["127.0.0.1:0"], rules: [allowLoopback], ...config });
  const lines: Record<string, unknown>[] = [];
  const accessLog = new AccessLog({
    format: "json",
    sink: (text) =>
      void lines.push(
        ...text
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line) as never),
      ),
  });
  const sockets = chooseSockets(options.sockets ?? "auto", options.reactor);
  const gate = new Gate({
    runtime: compiled.runtime,
    sockets,
    tunnel: options.engine?.(sockets.adopt) ?? relay,
    descriptors: new SpareDescriptors(),
    accessLog,
    application: "test",
    resolver: options.resolver ?? createFakeResolver({}),
    reportBug: (error) => {
      throw error;
    },
    reportHook: () => {},
  });
  const bound = gate.listen(
    compiled.listeners.map(({ host, port, protocols, proxyFrom }) => ({ host, port, protocols, proxyFrom })),
  );
  if (!bound.ok) throw new Error(bound.code);
  const port = bound.listeners[0]?.port ?? 0;
  return {
    gate,
    lines,
    connect: () => connectRaw(port),
    async tunnel(target, fields = {}) {
      const peer = await connectRaw(port);
      const more = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
      peer.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${more.join("")}\r\n`);
      await peer.untilText("\r\n\r\n");
      return { peer, status: peer.take().toString("latin1").slice(9, 12) };
    },
    async [Symbol.asyncDispose]() {
      await gate.stop();
      await accessLog.stop();
      gate.close();
    },
  };
}
