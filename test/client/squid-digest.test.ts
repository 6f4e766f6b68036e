import { afterAll, describe, expect } from "bun:test";
import { needs } from "../support/needs.ts";
import { type TestProxy, startProxy } from "../support/proxy.ts";
import { listenEcho, listenRaw } from "../support/raw-peer.ts";
import { startSquid, type UpstreamProgram } from "../support/upstream-programs.ts";

const login = { username: "edge", password: "up-s3cret.42" };

/** A Squid that wants Digest, for all tests: it takes seconds to start and to end. */
let shared: Promise<UpstreamProgram> | undefined;

function useDigestSquid(): Promise<UpstreamProgram> {
  return (shared ??= startSquid(login, "digest"));
}

afterAll(async () => (await shared)?.[Symbol.asyncDispose]());

/** Penstock in front of a Squid, for everything. */
function startInFront(url: string, more: { password?: string; auth?: "basic" | "digest" } = {}): Promise<TestProxy> {
  return startProxy({
    upstreams: { squid: { url, ...login, ...more } },
    rules: [{ allowPrivate: true, via: "squid" }],
  });
}

async function expectTunnel(proxy: TestProxy, target: string): Promise<void> {
  const { peer, head } = await proxy.tunnel(target);
  using _ = peer;
  expect(head).toStartWith("HTTP/1.1 200 ");
  peer.write("twelve bytes");
  await peer.untilText("twelve bytes");
}

describe("a Squid that wants Digest", () => {
  needs("squid")("lets us through, at once from the second tunnel on", async () => {
    const squid = await useDigestSquid();
    using echo = listenEcho();
    for (const auth of [{}, { auth: "digest" as const }]) {
      await using proxy = await startInFront(squid.url, auth);
      for (let count = 0; count < 3; count += 1) await expectTunnel(proxy, `127.0.0.1:${echo.port}`);
    }
  });

  needs("squid")("forwards plain HTTP for us, a first request with a body among it", async () => {
    const squid = await useDigestSquid();
    using origin = listenRaw((peer) => {
      let text = "";
      peer.consume = (chunk) => {
        text += Buffer.from(chunk).toString("latin1");
        if (!/\r\n\r\n(?:twelve bytes)?$/.test(text)) return;
        peer.write(`HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n${text.startsWith("POST") ? "put" : "got"}`);
        text = "";
      };
    });
    await using proxy = await startInFront(squid.url);
    const host = `127.0.0.1:${origin.port}`;
    using peer = await proxy.connect();
    peer.write(`POST http://${host}/ HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 12\r\n\r\ntwelve bytes`);
    await peer.untilText("\r\n\r\nput");
    peer.write(`GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await peer.untilText("\r\n\r\ngot");
  });

  needs("squid")("refuses a wrong password, and so do we without asking our client for another", async () => {
    const squid = await useDigestSquid();
    await using proxy = await startInFront(squid.url, { password: "wrong" });
    const { head } = await proxy.tunnel("127.0.0.1:9");
    expect(head).toStartWith("HTTP/1.1 502 ");
    expect(head).toContain("upstream_credentials");
    expect(await proxy.record()).toMatchObject({ detail: "upstream_credentials", received_status: 407 });
  });

  needs("squid", "htpasswd")(
    "never gets it from us when it wants Basic, or when Basic is all that we may show",
    async () => {
      await using basic = await startSquid(login, "basic");
      const digest = await useDigestSquid();
      for (const [squid, auth] of [
        [basic, "digest"],
        [digest, "basic"],
      ] as const) {
        await using proxy = await startInFront(squid.url, { auth });
        const { head } = await proxy.tunnel("127.0.0.1:9");
        expect(head).toStartWith("HTTP/1.1 502 ");
        expect(head).toContain("upstream_credentials");
      }
    },
  );
});
