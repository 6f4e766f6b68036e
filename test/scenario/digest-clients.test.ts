import { describe, expect, test } from "bun:test";
import { DigestClient } from "../../src/proxy/upstream/digest-client.ts";
import { Secret } from "../../src/secret.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";

const users = [{ name: "alice", password: "pässword" }];

function startDigest(schemes: ("basic" | "digest")[] = ["digest"]): Promise<TestProxy> {
  return startProxy({ users, auth: { schemes } });
}

function createClient(password = "pässword"): DigestClient {
  return new DigestClient("alice", new Secret(password));
}

/** The Proxy-Authenticate values of an answer. */
function challengesOf(head: string): string[] {
  return [...head.matchAll(/^Proxy-Authenticate: (.*)\r$/gm)].map(([, value]) => value ?? "");
}

async function ask(proxy: TestProxy, target: string, authorization?: string): Promise<string> {
  const fields = authorization === undefined ? {} : { "Proxy-Authorization": authorization };
  const { peer, head } = await proxy.tunnel(target, fields);
  peer[Symbol.dispose]();
  return head;
}

/** Lets the proxy ask `client`, and gives its first answer. */
async function answerFirst(proxy: TestProxy, client: DigestClient, target: string): Promise<string> {
  const exchange = client.begin();
  expect(exchange.refuse(challengesOf(await ask(proxy, target)))).toBe("retry");
  return exchange.authorize("CONNECT", target) ?? "";
}

describe("Digest towards clients", () => {
  test("is offered with SHA-256 first, then MD5, and alone when it is the only scheme", async () => {
    await using proxy = await startDigest();
    const challenges = challengesOf(await ask(proxy, "127.0.0.1:9"));
    expect(challenges.map((value) => /^Digest .*algorithm=([A-Z0-9-]+)/.exec(value)?.[1])).toEqual(["SHA-256", "MD5"]);
    for (const value of challenges) expect(value).toContain('qop="auth"');

    await using both = await startDigest(["digest", "basic"]);
    expect(challengesOf(await ask(both, "127.0.0.1:9")).map((value) => value.split(" ")[0])).toEqual([
      "Digest",
      "Digest",
      "Basic",
    ]);
  });

  test("keeps its nonces good over a reload, and remembers which counts were used", async () => {
    using echo = listenEcho();
    await using proxy = await startDigest();
    const target = `127.0.0.1:${echo.port}`;
    const client = createClient();
    const first = await answerFirst(proxy, client, target);
    await proxy.reload({ users, auth: { schemes: ["digest"] }, timeouts: { idle: "1m" } });
    expect(await ask(proxy, target, first)).toStartWith("HTTP/1.1 200 ");
    await proxy.reload({ users, auth: { schemes: ["digest"] } });
    expect(await ask(proxy, target, client.begin().authorize("CONNECT", target))).toStartWith("HTTP/1.1 200 ");
    expect(await ask(proxy, target, first)).toStartWith("HTTP/1.1 407 ");
  });

  test("lets a user through, with a count that goes up", async () => {
    using echo = listenEcho();
    await using proxy = await startDigest();
    const target = `127.0.0.1:${echo.port}`;
    const client = createClient();
    expect(await ask(proxy, target, await answerFirst(proxy, client, target))).toStartWith("HTTP/1.1 200 ");
    for (let count = 0; count < 3; count += 1) {
      const again = client.begin().authorize("CONNECT", target);
      expect(await ask(proxy, target, again)).toStartWith("HTTP/1.1 200 ");
    }
    expect(await proxy.record(1)).toMatchObject({ user: "alice", status: 200 });
  });

  test("takes no answer twice, and says that only the nonce is too old", async () => {
    using echo = listenEcho();
    await using proxy = await startDigest();
    const target = `127.0.0.1:${echo.port}`;
    const answer = await answerFirst(proxy, createClient(), target);
    expect(await ask(proxy, target, answer)).toStartWith("HTTP/1.1 200 ");
    const replayed = await ask(proxy, target, answer);
    expect(replayed).toStartWith("HTTP/1.1 407 ");
    for (const value of challengesOf(replayed)) expect(value).toContain("stale=true");
  });

  test("takes no answer to a request for another target", async () => {
    using echo = listenEcho();
    await using proxy = await startDigest();
    const answer = await answerFirst(proxy, createClient(), "127.0.0.1:9");
    const head = await ask(proxy, `127.0.0.1:${echo.port}`, answer);
    expect(head).toStartWith("HTTP/1.1 407 ");
    expect(head).toContain("credentials_wrong");
    expect(head).not.toContain("stale");
  });

  test("calls a nonce of another life of the proxy stale, when the password is right", async () => {
    using echo = listenEcho();
    const target = `127.0.0.1:${echo.port}`;
    const client = createClient();
    let before: string;
    {
      await using first = await startDigest();
      before = await answerFirst(first, client, target);
    }
    await using second = await startDigest();
    const head = await ask(second, target, before);
    expect(head).toStartWith("HTTP/1.1 407 ");
    expect(head).toContain("stale=true");
    const exchange = client.begin();
    exchange.refuse(challengesOf(head));
    expect(await ask(second, target, exchange.authorize("CONNECT", target))).toStartWith("HTTP/1.1 200 ");
  });

  test("refuses a wrong password, Basic where it is not offered, and what cannot be read", async () => {
    await using proxy = await startDigest();
    const target = "127.0.0.1:9";
    const basic = `Basic ${Buffer.from("alice:pässword").toString("base64")}`;
    const refusals: [string, string][] = [
      [await answerFirst(proxy, createClient("wrong"), target), "credentials_wrong"],
      [basic, "credentials_required"],
      ["Digest username=alice", "credentials_malformed"],
    ];
    for (const [authorization, detail] of refusals) {
      const head = await ask(proxy, target, authorization);
      expect(head).toStartWith("HTTP/1.1 407 ");
      expect(head).toContain(`(${detail})`);
    }
  });
});
