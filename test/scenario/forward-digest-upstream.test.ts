import { describe, expect, test } from "bun:test";
import { type DigestUpstream, listenDigestUpstream } from "../support/digest-upstream.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import { listenRaw } from "../support/raw-peer.ts";

function startInFront(
  upstream: { port: number },
  more: { password?: string; auth?: "digest" } = {},
): Promise<TestProxy> {
  const url = `http://127.0.0.1:${upstream.port}`;
  return startProxy({ upstreams: { corp: { url, username: "edge", password: "pw", ...more } }, default: "corp" });
}

function listShown({ requests }: DigestUpstream): string[] {
  return requests.map(({ shown }) => shown);
}

const GET = "GET http://target.example/a?b=c HTTP/1.1\r\nHost: target.example\r\n\r\n";

function writePost(body: string): string {
  return `POST http://target.example/ HTTP/1.1\r\nHost: target.example\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

describe("a request that an upstream with Digest is to forward", () => {
  for (const after of ["keeps it", "closes it"] as const)
    test(`is asked again with an answer when the upstream ${after}`, async () => {
      using upstream = listenDigestUpstream(after);
      await using proxy = await startInFront(upstream);
      using peer = await proxy.connect();
      peer.write(GET);
      await peer.untilText("GET http://target.example/a?b=c");
      expect(peer.text).toStartWith("HTTP/1.1 200 ");
      expect(listShown(upstream)).toEqual(["Basic", "Digest"]);
      peer.write(GET);
      await peer.until(({ text }) => text.split("GET http://target.example/a?b=c").length > 2);
      expect(listShown(upstream)).toEqual(["Basic", "Digest", "Digest"]);
    });

  test("is answered anew when the nonce was too old", async () => {
    using upstream = listenDigestUpstream();
    await using proxy = await startInFront(upstream, { auth: "digest" });
    for (const count of [1, 2]) {
      if (count === 2) upstream.expire();
      using peer = await proxy.connect();
      peer.write(GET);
      await peer.untilText("GET http://target.example/a?b=c");
    }
    expect(listShown(upstream)).toEqual(["nothing", "Digest", "Digest", "Digest"]);
  });

  test("is told again with its body, and what follows it is not lost", async () => {
    using upstream = listenDigestUpstream();
    await using proxy = await startInFront(upstream);
    using peer = await proxy.connect();
    const body = "x".repeat(30_000);
    peer.write(`${writePost(body)}${GET}`);
    await peer.untilText("GET http://target.example/a?b=c");
    expect(peer.text).toContain(`POST http://target.example/ ${body}`);
  });

  test("is refused when its body is too long to be told twice, and taken when it is sent again", async () => {
    using upstream = listenDigestUpstream();
    await using proxy = await startInFront(upstream);
    const body = "x".repeat(1_000_000);
    using first = await proxy.connect();
    first.write(writePost(body));
    await first.untilText("\r\n\r\n");
    // The upstream may have said 407 before so much of the body was read.
    if (!first.text.startsWith("HTTP/1.1 200 ")) {
      expect(first.text).toStartWith("HTTP/1.1 502 ");
      expect(await proxy.record()).toMatchObject({ detail: "upstream_credentials", received_status: 407 });
    }
    using second = await proxy.connect();
    second.write(writePost(body));
    await second.untilText(body);
    expect(second.text).toStartWith("HTTP/1.1 200 ");
  });

  test("is refused when the password is wrong, and the client is not asked for one", async () => {
    using upstream = listenDigestUpstream();
    await using proxy = await startInFront(upstream, { password: "wrong" });
    using peer = await proxy.connect();
    peer.write(GET);
    await peer.untilText("\r\n\r\n");
    expect(peer.text).toStartWith("HTTP/1.1 502 ");
    expect(peer.text).not.toContain("Proxy-Authenticate");
    expect(await proxy.record()).toMatchObject({ detail: "upstream_credentials", next_hop: "corp" });
    expect(listShown(upstream)).toEqual(["Basic", "Digest"]);
  });

  test("tells what is asked for when that is not spoken here", async () => {
    using upstream = listenRaw((peer) => {
      peer.consume = () => peer.write("HTTP/1.1 407 Who\r\nProxy-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n");
    });
    await using proxy = await startInFront(upstream);
    using peer = await proxy.connect();
    peer.write(GET);
    await peer.untilText("it asks for negotiate");
    expect(peer.text).toStartWith("HTTP/1.1 502 ");
  });
});
