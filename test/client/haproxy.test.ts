import { describe, expect } from "bun:test";
import { join } from "node:path";
import { needs } from "../support/needs.ts";
import { startProgram } from "../support/program.ts";
import { allowLoopback, startProxy } from "../support/proxy.ts";
import { connectRaw, listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { reserveClosedPort } from "../support/unreachable.ts";
import { untilServing } from "../support/upstream-programs.ts";

interface HaProxy extends AsyncDisposable {
  readonly port: number;
}

/** HAProxy from Debian with one frontend; `section` is what it does with connections to its port. */
async function startHaProxy(section: (port: number) => readonly string[]): Promise<HaProxy> {
  const port = await reserveClosedPort();
  const folder = await makeFolder({
    "haproxy.cfg": [
      "defaults",
      "  timeout client 30s",
      "  timeout server 30s",
      "  timeout connect 5s",
      ...section(port),
      "",
    ].join("\n"),
  });
  const program = startProgram(["haproxy", "-db", "-f", join(folder.path, "haproxy.cfg")]);
  await untilServing(port, program);
  return {
    port,
    async [Symbol.asyncDispose]() {
      await program[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** A server that takes nothing without a PROXY header, and answers with the client that it is told of. */
function startReceiver(): Promise<HaProxy> {
  return startHaProxy((port) => [
    "frontend receiver",
    "  mode http",
    `  bind 127.0.0.1:${port} accept-proxy`,
    '  http-request return status 200 content-type text/plain lf-string "from %[src]:%[src_port]"',
  ]);
}

/** A load balancer for connections, which tells `to` of the client as `how` says. */
function startBalancer(to: number, how: "send-proxy" | "send-proxy-v2"): Promise<HaProxy> {
  return startHaProxy((port) => [
    "listen balancer",
    "  mode tcp",
    `  bind 127.0.0.1:${port}`,
    `  server penstock 127.0.0.1:${to} ${how}`,
  ]);
}

describe("HAProxy", () => {
  needs("haproxy")("as a target reads our PROXY headers, of both versions", async () => {
    await using receiver = await startReceiver();
    for (const proxyProtocol of [1, 2] as const) {
      await using proxy = await startProxy({ rules: [{ ...allowLoopback, proxyProtocol }] });
      const { peer } = await proxy.tunnel(`127.0.0.1:${receiver.port}`);
      using _ = peer;
      peer.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      await peer.untilEnd();
      expect(peer.text).toEndWith(`from 127.0.0.1:${peer.socket.localPort}`);
    }
  });

  needs("haproxy")("as a target learns of an IPv6 client that was introduced to us", async () => {
    await using receiver = await startReceiver();
    for (const proxyProtocol of [1, 2] as const) {
      await using proxy = await startProxy({
        open: true,
        listen: [{ port: 0, proxyProtocol: ["127.0.0.1"] }],
        rules: [{ ...allowLoopback, proxyProtocol }],
      });
      using peer = await proxy.connect();
      const target = `127.0.0.1:${receiver.port}`;
      peer.write("PROXY TCP6 2001:db8::7 2001:db8::1 4711 8080\r\n");
      peer.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
      await peer.untilText("\r\n\r\n");
      peer.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      await peer.untilEnd();
      expect(peer.text).toEndWith("from 2001:db8::7:4711");
    }
  });

  for (const how of ["send-proxy", "send-proxy-v2"] as const)
    needs("haproxy")(`in front of us tells of its clients with ${how}`, async () => {
      using echo = listenEcho();
      await using proxy = await startProxy({ open: true, listen: [{ port: 0, proxyProtocol: ["127.0.0.0/8"] }] });
      await using balancer = await startBalancer(proxy.port, how);
      using peer = await connectRaw(balancer.port);
      const client = `127.0.0.1:${peer.socket.localPort}`;
      const target = `127.0.0.1:${echo.port}`;
      peer.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\nhello`);
      await peer.untilText("hello");
      peer.finish();
      await peer.untilEnd();
      // The first connection was the one that looked whether the balancer is there.
      const record = () => proxy.records.find(({ target: asked }) => asked === target);
      await peer.until(() => record() !== undefined);
      expect(record()).toMatchObject({ client, status: 200 });
    });
});
