import { describe, expect, test } from "bun:test";
import { dialInVain, dialWell, makeHop } from "../support/dial-stand.ts";
import { type After407, type DigestUpstream, listenDigestUpstream } from "../support/digest-upstream.ts";
import { waitFor } from "../support/proxy.ts";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import type { Hop } from "../../src/proxy/route/hop.ts";
import { Upstreams } from "../../src/proxy/upstream/upstreams.ts";

/** A public name: nobody but an upstream resolves it here. */
const TARGET = "target.example:443";

const login = { user: "edge", password: "pw" };

async function passes(hops: readonly Hop[], upstreams = new Upstreams()): Promise<void> {
  using tunnel = await dialWell(TARGET, { hops, upstreams });
  await waitFor(() => tunnel.text === "tunnelled", "the first words of the target");
}

/** What was shown, connection by connection. */
function listShown({ requests }: DigestUpstream): string[] {
  return requests.map(({ shown, connection }) => `${connection}: ${shown}`);
}

describe("a dial through an upstream that wants Digest", () => {
  for (const after of ["keeps it", "keeps it, chunked"] as const)
    test(`answers on the same connection when the upstream ${after}`, async () => {
      using upstream = listenDigestUpstream(after);
      await passes([makeHop("http", upstream.port, login)]);
      expect(listShown(upstream)).toEqual(["1: Basic", "1: Digest"]);
    });

  const others: After407[] = ["closes it", "closes it without a word", "sends too much"];
  for (const after of others)
    test(`answers on another connection when the upstream ${after}`, async () => {
      using upstream = listenDigestUpstream(after);
      await passes([makeHop("http", upstream.port, login)]);
      expect(upstream.requests[0]).toEqual({ shown: "Basic", connection: 1 });
      expect(upstream.requests.at(-1)).toEqual({ shown: "Digest", connection: 2 });
    });

  test("answers at once from the second connection on, and anew when the nonce is too old", async () => {
    using upstream = listenDigestUpstream();
    const hops = [makeHop("http", upstream.port, { ...login, auth: "digest" })];
    const upstreams = new Upstreams();
    await passes(hops, upstreams);
    await passes(hops, upstreams);
    upstream.expire();
    await passes(hops, upstreams);
    expect(listShown(upstream)).toEqual(["1: nothing", "1: Digest", "2: Digest", "3: Digest", "3: Digest"]);
  });

  test("tells when the password is wrong, and does not try for ever", async () => {
    for (const after of ["keeps it", "closes it", "sends too much"] as const) {
      using upstream = listenDigestUpstream(after);
      const hops = [makeHop("http", upstream.port, { user: "edge", password: "wrong" })];
      expect(await dialInVain(TARGET, { hops })).toMatchObject({
        detail: "upstream_credentials",
        receivedStatus: 407,
        nextHop: "up",
        note: "407 Who",
      });
      expect(upstream.requests.map(({ shown }) => shown)).toEqual(["Basic", "Digest"]);
    }
  });

  test("begins the whole chain again, for each of its upstreams once", async () => {
    using last = listenDigestUpstream("closes it");
    await using first = await startConnectUpstream();
    const hops = [
      makeHop("http", first.port, { name: "first" }),
      makeHop("http", last.port, { ...login, name: "last" }),
    ];
    await passes(hops);
    expect(listShown(last)).toEqual(["1: Basic", "2: Digest"]);
    expect(first.asked).toHaveLength(2);
  });
});
