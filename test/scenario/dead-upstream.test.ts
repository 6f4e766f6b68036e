import { describe, expect, test } from "bun:test";
import { explainTarget } from "../../src/explain/explain-target.ts";
import { runCli } from "../../src/cli/run-cli.ts";
import { compileForTest } from "../support/compile-for-test.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { createFakeResolver } from "../support/fake-resolver.ts";
import { makeEndpoint } from "../support/make-endpoint.ts";
import { makeIp } from "../support/make-policy.ts";
import { startProxy } from "../support/proxy.ts";
import { listenRaw } from "../support/raw-peer.ts";
import { reserveClosedPort } from "../support/unreachable.ts";

const resolver = createFakeResolver({ "gone.example": "dns_error", "slow.example": "dns_timeout" });
const request = "GET http://site.example/ HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n";

/** What a client is told of a tunnel and of a request through an upstream; and the records. */
async function askThrough(url: string) {
  await using proxy = await startProxy(
    { upstreams: { corp: url }, rules: [], default: "corp", timeouts: { connect: "300ms", response: "300ms" } },
    { resolver },
  );
  const tunnel = (await proxy.tunnel("site.example:443")).head;
  const forwarded = await proxy.exchange(request);
  await proxy.record(1);
  return { tunnel, forwarded, records: proxy.records };
}

describe("an upstream that fails is named, and never called the target", () => {
  test("when nobody listens there", async () => {
    const closed = await reserveClosedPort();
    const { tunnel, forwarded, records } = await askThrough(`http://127.0.0.1:${closed}`);
    for (const answer of [tunnel, forwarded]) {
      expect(answer).toContain("The upstream corp refused the connection.\n");
      expect(answer).not.toContain("target");
    }
    for (const record of records) expect(record).toMatchObject({ detail: "connection_refused", next_hop: "corp" });
  });

  test.each([
    ["gone.example", "The name of the upstream corp does not resolve.", "dns_error"],
    ["slow.example", "No name server gave the address of the upstream corp in time.", "dns_timeout"],
  ])("when its name does not resolve: %s", async (name, text, detail) => {
    const { tunnel, forwarded, records } = await askThrough(`http://${name}:3128`);
    for (const answer of [tunnel, forwarded]) {
      expect(answer).toContain(`${text}\n`);
      expect(answer).not.toContain("target");
    }
    for (const record of records) expect(record).toMatchObject({ detail, next_hop: "corp" });
  });

  test.each([
    ["closes at once", (peer: { reset(): void }) => peer.reset()],
    ["says nothing", () => {}],
  ])("when it %s", async (_, act) => {
    using server = listenRaw(act);
    const { tunnel, forwarded, records } = await askThrough(`http://127.0.0.1:${server.port}`);
    for (const answer of [tunnel, forwarded]) {
      expect(answer).toContain("upstream corp");
      expect(answer).not.toContain("target");
    }
    for (const record of records) expect(record).toMatchObject({ next_hop: "corp" });
  });

  test("when it answers with what is no answer", async () => {
    using server = listenRaw((peer) => {
      peer.consume = () => peer.write("SSH-2.0-OpenSSH_9.2p1\r\n");
    });
    const { tunnel, forwarded } = await askThrough(`http://127.0.0.1:${server.port}`);
    expect(tunnel).toContain("The upstream corp answered with something that is not an answer.\n");
    expect(forwarded).toContain("The answer of the upstream corp is not well-formed HTTP/1.1.\n");
  });

  test("in explain", async () => {
    const compiled = compileForTest({ upstreams: { corp: "http://gone.example:3128" }, default: "corp" });
    const question = { client: makeIp("127.0.0.1"), user: undefined, target: makeEndpoint("site.example:443") };
    const lines = await explainTarget(compiled, resolver, question);
    expect(lines).toContain("meaning: The name of the upstream corp does not resolve.");
  });

  test("in trace", async () => {
    const closed = await reserveClosedPort();
    const io = createFakeIo();
    await runCli(["trace", "--proxy", `http://127.0.0.1:${closed}`, "http://127.0.0.1:9/"], io);
    expect(io.printed()).toContain("The proxy refused the connection (ECONNREFUSED)");
    expect(io.printed()).not.toContain("target refused");
  });
});
