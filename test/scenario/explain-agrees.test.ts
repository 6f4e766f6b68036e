import { describe, expect, test } from "bun:test";
import { parseIp } from "../../src/address/ip.ts";
import { explainTarget } from "../../src/explain/explain-target.ts";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { compileForTest } from "../support/compile-for-test.ts";
import { createFakeResolver } from "../support/fake-resolver.ts";
import { makeEndpoint } from "../support/make-endpoint.ts";
import { startProxy } from "../support/proxy.ts";
import { listenRaw } from "../support/raw-peer.ts";
import { reserveClosedPort } from "../support/unreachable.ts";

const resolver = createFakeResolver({
  "inside.test": ["fd00::1", "10.0.0.1"],
  "mixed.test": ["10.0.0.1", "127.0.0.1"],
  "own.test": ["127.0.0.1"],
  "slow.test": "dns_timeout",
});

const loopback = { name: "loopback", to: ["127.0.0.0/8"], allow: true, allowPrivate: true };

/** Ports that are known only when the test runs. */
interface Ports {
  readonly proxy: number;
  readonly target: number;
  readonly socks: number;
}

type Case = readonly [name: string, target: (ports: Ports) => string, config: (ports: Ports) => PenstockConfig];

const socks = ({ socks: port }: Ports) => ({ corp: `socks5://127.0.0.1:${port}` });
const ours = ({ proxy }: Ports) => ({ corp: `http://own.test:${proxy}` });

const cases: readonly Case[] = [
  ["localhost, of which one address is allowed", ({ target }) => `localhost:${target}`, () => ({ rules: [loopback] })],
  ["localhost, of which none is", ({ target }) => `localhost:${target}`, () => ({})],
  ["a name with addresses of both kinds", ({ target }) => `mixed.test:${target}`, () => ({ rules: [loopback] })],
  ["a private name", () => "inside.test:443", () => ({ rules: [loopback] })],
  ["a private name that a rule denies", () => "inside.test:443", () => ({ rules: [{ to: ["fd00::/8"], deny: true }] })],
  ["a name that does not resolve", () => "nowhere.test:443", () => ({})],
  ["a name that does not resolve in time", () => "slow.test:443", () => ({ rules: [loopback] })],
  ["a name that nothing allows", () => "inside.test:443", () => ({ default: "deny" })],
  ["the proxy itself", ({ proxy }) => `own.test:${proxy}`, () => ({ rules: [loopback] })],
  [
    "the proxy itself as its upstream",
    () => "far.example:443",
    (ports) => ({ upstreams: ours(ports), default: "corp" }),
  ],
  ["a private name through SOCKS5", () => "inside.test:443", (ports) => ({ upstreams: socks(ports), default: "corp" })],
  [
    "localhost through SOCKS5",
    ({ target }) => `localhost:${target}`,
    (ports) => ({ upstreams: socks(ports), default: "corp" }),
  ],
  [
    "a rule whose function throws",
    () => "far.example:443",
    () => ({
      rules: [
        () => {
          throw new Error("no");
        },
      ],
    }),
  ],
];

describe("penstock explain and the proxy agree on", () => {
  for (const [name, findTarget, configure] of cases)
    test(name, async () => {
      using server = listenRaw();
      using upstream = listenRaw();
      const ports = { proxy: await reserveClosedPort(), target: server.port, socks: upstream.port };
      const config = { rules: [], ...configure(ports), listen: [{ port: ports.proxy }] };
      const target = findTarget(ports);

      const client = parseIp("127.0.0.1");
      if (client === undefined) throw new Error("127.0.0.1 is an address");
      const lines = await explainTarget(compileForTest(config), resolver, {
        client,
        user: undefined,
        target: makeEndpoint(target),
      });
      const verdict = lines.findLast((line) => line.startsWith("verdict:"))?.slice(9);
      const reason = lines.find((line) => line.startsWith("reason:"))?.slice(9);

      await using proxy = await startProxy(config, { resolver });
      const { peer, head } = await proxy.tunnel(target);
      const status = head.split(" ")[1];
      expect(verdict).toBe(status === "200" ? "allowed" : `refused with ${status}`);
      if (reason !== undefined) {
        const [word = "", detail = ""] = reason.split(/[;( ]+/);
        expect(head).toContain(`error=${word}`);
        expect(head).toContain(`(${detail})`);
      }
      peer[Symbol.dispose]();
    });
});
