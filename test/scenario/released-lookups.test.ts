import { describe, expect, test } from "bun:test";
import type { PenstockConfig } from "../../src/config/schema.ts";
import type { Lookup, Lookups, NamedHost, Resolver } from "../../src/net/dns/resolver.ts";
import { makeIp } from "../support/make-policy.ts";
import { openGate } from "../support/open-gate.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { reserveClosedPort } from "../support/unreachable.ts";
import { waitFor } from "../support/wait-for.ts";

const NONE: Lookup = { ok: false, detail: "dns_error", note: "ENOTFOUND" };

/** Completes every name to one of corp.test, and counts the answers that nobody has given back. */
class CountingResolver implements Resolver {
  given = 0;
  released = 0;

  find({ text }: NamedHost): Lookups {
    this.given += 1;
    const found: Lookup = { ok: true, name: `${text}.corp.test`, addresses: [makeIp("127.0.0.1")] };
    return { 4: found, 6: NONE, release: () => (this.released += 1) };
  }

  mayComplete(): boolean {
    return true;
  }
}

/** A rule for what is found, so that the answers by which it decides stay for the dial. */
const found = { name: "corp", to: ["*.corp.test"], allowPrivate: true };

function open(config: PenstockConfig = {}) {
  const resolver = new CountingResolver();
  const gate = openGate({ rules: [found], default: "deny", ...config }, { resolver });
  return { resolver, gate };
}

/** Every answer is given back, once. */
async function expectReleased(resolver: CountingResolver, given: number): Promise<void> {
  await waitFor(
    () => resolver.released >= given,
    () => `${given} releases of ${JSON.stringify(resolver)}`,
  );
  expect(resolver).toMatchObject({ given, released: given });
}

describe("the answers by which a target was judged are given back", () => {
  test("when a tunnel is open", async () => {
    using echo = listenEcho();
    const { resolver, gate } = open();
    await using _ = gate;
    const { peer, status } = await gate.tunnel(`intra:${echo.port}`);
    using _peer = peer;
    expect(status).toBe("200");
    await expectReleased(resolver, 1);
  });

  test("when the target cannot be reached", async () => {
    const { resolver, gate } = open();
    await using _ = gate;
    const { peer, status } = await gate.tunnel(`intra:${await reserveClosedPort()}`);
    using _peer = peer;
    expect(status).toBe("502");
    await expectReleased(resolver, 1);
  });

  test("after each forwarded request, also when the connection to the origin is used again", async () => {
    using origin = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("hi") });
    const { resolver, gate } = open();
    await using _ = gate;
    using peer = await gate.connect();
    for (const number of [1, 2, 3]) {
      peer.write(`GET http://intra:${origin.port}/${number} HTTP/1.1\r\nHost: intra:${origin.port}\r\n\r\n`);
      await peer.untilText("hi");
      peer.take();
      // A plan may have answered without asking.
      await waitFor(() => resolver.released === resolver.given, "the release");
    }
    expect(resolver.given).toBeGreaterThan(0);
  });

  test("when a request is answered without its origin, or refused", async () => {
    const { resolver, gate } = open({
      rules: [{ to: ["tls.corp.test"], allowPrivate: true, protocols: ["tls"] }, found],
      forward: { via: "test" },
    });
    await using _ = gate;
    const ask = async (head: string): Promise<string> => {
      using peer = await gate.connect();
      peer.write(`${head}\r\n\r\n`);
      await peer.untilText("\r\n\r\n");
      return peer.text.slice(9, 12);
    };
    expect(await ask("OPTIONS http://intra/ HTTP/1.1\r\nHost: intra\r\nMax-Forwards: 0")).toBe("200");
    await expectReleased(resolver, 1);
    expect(await ask("GET http://intra/ HTTP/1.1\r\nHost: intra\r\nVia: 1.1 test")).toBe("508");
    await expectReleased(resolver, 2);
    expect(await ask("GET http://tls/ HTTP/1.1\r\nHost: tls")).toBe("403");
    await expectReleased(resolver, 3);
  });
});
