import { describe, expect, test } from "bun:test";
import { fail, succeed } from "../../../../src/proxy/failure.ts";
import type { Hop } from "../../../../src/proxy/route/hop.ts";
import { UpstreamLogin } from "../../../../src/proxy/upstream/upstream-login.ts";
import { Upstreams } from "../../../../src/proxy/upstream/upstreams.ts";
import { loginAt, makeHop } from "../../../support/dial-stand.ts";

const challenge = 'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256';

/** The hop of the same name, as a reload compiles it. */
function compileHop(more: Partial<Hop> & { user?: string; password?: string } = {}, port = 3128): Hop {
  return makeHop("http", port, { name: "corp", user: "edge", password: "pw", ...more });
}

/** Whether the first request through this hop answers a challenge that came before. */
function knowsChallenge(upstreams: Upstreams, hop: Hop): boolean {
  const shown = new UpstreamLogin(hop, upstreams.find(hop), loginAt(hop)).authorize("CONNECT", "target.example:443");
  return shown.ok && shown.value?.startsWith("Digest ") === true;
}

function learnChallenge(upstreams: Upstreams, hop: Hop): void {
  const login = new UpstreamLogin(hop, upstreams.find(hop), loginAt(hop));
  login.authorize("CONNECT", "target.example:443");
  expect(login.refuse([challenge])).toEqual({ retry: true });
}

describe("Upstreams", () => {
  test("know an upstream by its name across snapshots", () => {
    const upstreams = new Upstreams();
    const first = compileHop();
    learnChallenge(upstreams, first);
    const second = compileHop({ tunnelHttp: true });
    expect(upstreams.find(second)).toBe(upstreams.find(first));
    expect(knowsChallenge(upstreams, second)).toBe(true);
  });

  test("begin afresh at another address, while requests of the old snapshot keep the old upstream", () => {
    const upstreams = new Upstreams();
    const [before, moved] = [compileHop(), compileHop({}, 3129)];
    learnChallenge(upstreams, before);
    expect(knowsChallenge(upstreams, moved)).toBe(false);
    expect(knowsChallenge(upstreams, before)).toBe(true);
    expect(upstreams.find(compileHop({}, 3129))).toBe(upstreams.find(moved));
    for (const more of [{ kind: "socks5" }, { sourceAddress: "192.0.2.7" }] as const)
      expect(upstreams.find(compileHop(more, 3129))).not.toBe(upstreams.find(moved));
  });

  test("forget the names that a reload has removed, and keep the others", () => {
    const upstreams = new Upstreams();
    const [kept, gone] = [compileHop(), compileHop({ name: "gone" })];
    const first = upstreams.find(kept);
    learnChallenge(upstreams, gone);
    upstreams.retain([kept]);
    expect(upstreams.size).toBe(1);
    expect(upstreams.find(compileHop())).toBe(first);
    // A request of the old snapshot still has what it knew; a new one begins afresh.
    expect(knowsChallenge(upstreams, gone)).toBe(true);
    expect(knowsChallenge(upstreams, compileHop({ name: "gone" }))).toBe(false);
  });

  test("begin the login afresh with other credentials, and nothing else", () => {
    for (const more of [{ password: "new" }, { user: "other" }]) {
      const upstreams = new Upstreams();
      const before = compileHop();
      learnChallenge(upstreams, before);
      const after = compileHop(more);
      expect(knowsChallenge(upstreams, after)).toBe(false);
      expect(upstreams.find(after)).toBe(upstreams.find(before));
    }
  });

  test("share nothing between two gates", () => {
    const hop = compileHop();
    const [one, other] = [new Upstreams(), new Upstreams()];
    learnChallenge(one, hop);
    expect(knowsChallenge(other, hop)).toBe(false);
  });

  test("count dials, and as failed those that failed because of the upstream", async () => {
    const upstream = new Upstreams().find(compileHop());
    const { promise, resolve } = Promise.withResolvers<ReturnType<typeof fail>>();
    const dialling = upstream.count(promise);
    expect(upstream.load).toEqual({ dialling: 1, dialled: 0, failed: 0 });
    resolve(fail("connection_refused", { nextHop: "corp" }));
    await dialling;
    await upstream.count(Promise.resolve(succeed(1)));
    await upstream.count(Promise.resolve(fail("dns_error")));
    expect(upstream.load).toEqual({ dialling: 0, dialled: 1, failed: 1 });
  });

  test("count what an upstream reports of the next one there, and not at itself", async () => {
    const upstreams = new Upstreams();
    const [corp, next] = ["corp", "next"].map((name) => upstreams.find(compileHop({ name })));
    const reported = fail("upstream_refused", { nextHop: "corp", culprit: "next" });
    await corp?.count(Promise.resolve(reported));
    next?.reported(reported.failure);
    expect([corp?.load.failed, next?.load.failed]).toEqual([0, 1]);
  });
});
