import { describe, expect, test } from "bun:test";
import { on } from "../../support/acme-server.ts";
import { type KeeperStand, openKeeper } from "../../support/keeper-stand.ts";

const DAY = 24 * 3_600_000;

/** Why the first order fails, when the server answers so. */
async function failWith(stand: KeeperStand, intercept: KeeperStand["server"]["intercept"]): Promise<string> {
  stand.server.intercept = intercept;
  stand.keeper.start();
  const { change, why } = await stand.change(0);
  expect(change).toBe("failed");
  return why ?? "";
}

describe("a server that fails", () => {
  test("is asked with the fresh nonce when it refuses one, and is given up when it refuses all", async () => {
    await using stand = await openKeeper();
    const why = await failWith(stand, on("/new-account", { status: 400, type: "badNonce" }));
    expect(why).toContain("the server refused 6 nonces one after the other (badNonce)");
    expect(stand.server.requests.filter(({ path }) => path === "/new-account")).toHaveLength(6);
    stand.server.intercept = on("/new", ({ before }) =>
      before % 3 === 2 ? undefined : { status: 400, type: "badNonce" },
    );
    expect((await stand.change(1)).change).toBe("issued");
  });

  test("that limits rates is left alone for as long as it says, also by a reload", async () => {
    await using stand = await openKeeper();
    const began = stand.server.now;
    const limited = { status: 429, type: "rateLimited", detail: "too many", headers: { "retry-after": "86400" } };
    const why = await failWith(stand, on("/new-order", limited));
    expect(why).toContain("429 (rateLimited: too many)");
    expect(Date.parse(stand.changes[0]?.nextAttempt ?? "")).toBeGreaterThan(began + DAY);
    stand.keeper.hurry();
    stand.server.intercept = () => undefined;
    await stand.change(1);
    expect(stand.server.now).toBeGreaterThan(began + DAY);
  });

  test("is asked again at once by a reload, where it asked for no time", async () => {
    await using stand = await openKeeper();
    // Otherwise five minutes would have to go by.
    stand.server.jumpMs = 0;
    await failWith(stand, on("/new-order", { status: 403, type: "unauthorized" }));
    stand.server.intercept = () => undefined;
    stand.keeper.hurry();
    expect((await stand.change(1)).change).toBe("issued");
  });

  test("that is away is asked again after a minute", async () => {
    await using stand = await openKeeper();
    const began = stand.server.now;
    expect(await failWith(stand, () => "away")).toContain("the server acme.test cannot be reached: ECONNREFUSED");
    expect(Date.parse(stand.changes[0]?.nextAttempt ?? "")).toBe(began + 60_000);
  });

  test.each([
    [
      "an invalid order",
      on("/order", { body: { status: "invalid", authorizations: [], finalize: "/f", error: { detail: "CAA" } } }),
      "the order is invalid (CAA)",
    ],
    [
      "an authorization that is pending for ever",
      on("/authorization", {
        body: {
          status: "pending",
          identifier: { type: "dns", value: "proxy.example.org" },
          challenges: [
            { type: "tls-alpn-01", url: "/challenge/x", status: "pending", token: "abcdefghijklmnopqrstuv" },
          ],
        },
      }),
      "the look at proxy.example.org did not come within 180 s",
    ],
    [
      "a challenge that is refused",
      on("/authorization", ({ before }) => ({
        body: {
          status: before === 0 ? "pending" : "invalid",
          identifier: { type: "dns", value: "proxy.example.org" },
          challenges: [
            {
              type: "tls-alpn-01",
              url: "/challenge/x",
              status: "invalid",
              token: "abcdefghijklmnopqrstuv",
              error: { type: "urn:ietf:params:acme:error:connection", detail: "Timeout" },
            },
          ],
        },
      })),
      "the authority did not accept tls-alpn-01 for proxy.example.org (connection: Timeout). Open the port",
    ],
    [
      "another challenge",
      on("/authorization", {
        body: {
          status: "pending",
          identifier: { type: "dns", value: "proxy.example.org" },
          challenges: [{ type: "dns-01", url: "/c", status: "pending" }],
        },
      }),
      "the server offers no tls-alpn-01 for proxy.example.org: it has dns-01",
    ],
    [
      "a token that is a path",
      on("/authorization", {
        body: {
          status: "pending",
          identifier: { type: "dns", value: "proxy.example.org" },
          challenges: [{ type: "tls-alpn-01", url: "/c", status: "pending", token: "../../../../etc/passwd" }],
        },
      }),
      "without a usable token",
    ],
    [
      "an authorization of another name",
      on("/authorization", {
        body: { status: "pending", identifier: { type: "dns", value: "victim.example" }, challenges: [] },
      }),
      "control of victim.example shown, which was not ordered",
    ],
    [
      "a directory that leads elsewhere",
      on("/directory", { body: { newNonce: "https://inside.test/", newAccount: "/a", newOrder: "/o" } }),
      'the server names https://inside.test for "newNonce" of the directory, which is not the host of the directory',
    ],
    [
      "an order elsewhere",
      on("/new-order", {
        status: 201,
        body: { status: "pending", authorizations: [], finalize: "/f" },
        headers: { location: "http://acme.test/order" },
      }),
      "http://acme.test for the order",
    ],
    [
      "a redirect",
      on("/directory", { status: 302, headers: { location: "https://inside.test/" } }),
      "answered /directory with 302, a redirect, which is not followed",
    ],
    ["no JSON", on("/new-account", { body: "<html>" }), "/new-account with something that is no JSON"],
    [
      "control characters",
      on("/new-account", { status: 400, type: "malformed", detail: "\u001b[2J\u202e" }),
      "\\u001b[2J\\u202e",
    ],
    ["no nonce", on("/nonce", { headers: { "replay-nonce": "a b" } }), "the server gave no nonce (status 200)"],
  ] as const)("with %s is told of", async (_, intercept, words) => {
    await using stand = await openKeeper();
    expect(await failWith(stand, intercept)).toContain(words);
    expect(stand.used).toEqual([]);
    expect(stand.proofs).toEqual([]);
    expect(stand.changes[0]?.failures).toBe(1);
  });

  test("with a certificate for other names, a cut chain or no chain is told of, and nothing of it is used", async () => {
    await using stand = await openKeeper();
    const { server } = stand;
    server.names = ["proxy.example.org", "victim.example"];
    expect(await failWith(stand, () => undefined)).toContain("for other names: proxy.example.org, victim.example");
    server.names = undefined;
    server.finish = ([leaf = ""]) => [leaf];
    expect((await stand.change(1)).why).toContain("without the one of its issuer");
    server.finish = ([leaf = ""]) => [leaf, leaf];
    expect((await stand.change(2)).why).toContain("do not form a chain");
    server.finish = ([leaf = ""]) => [leaf.slice(0, 300)];
    expect((await stand.change(3)).why).toContain("no certificate in PEM form");
    server.finish = ([, root = ""]) => [root];
    expect((await stand.change(4)).why).toContain("not for the key of the order");
    expect(stand.used).toEqual([]);
    server.finish = (chain) => chain;
    expect((await stand.change(5)).change).toBe("issued");
  });

  test("is not blamed when the clock of this machine is wrong", async () => {
    await using stand = await openKeeper();
    stand.server.lifeMs = -DAY;
    expect(await failWith(stand, () => undefined)).toContain("correct the clock");
  });

  test("without the profile that was asked for is told which it has", async () => {
    await using stand = await openKeeper({ profile: "eternal" });
    expect(await failWith(stand, () => undefined)).toContain(
      'does not offer the profile "eternal": it has only classic, shortlived',
    );
  });

  test("that stumbles while an order is followed is asked on, when it has said for how long", async () => {
    await using stand = await openKeeper();
    const limited = { status: 429, type: "rateLimited", headers: { "retry-after": "7" } };
    let limitedAt = 0;
    let askedAgainAt = 0;
    stand.server.intercept = on("/order", ({ before }) => {
      if (before === 0) return "away";
      if (before === 1) return { status: 503 };
      if (before === 2) limitedAt = stand.server.now;
      if (before === 3) askedAgainAt = stand.server.now;
      return before === 2 ? limited : undefined;
    });
    stand.keeper.start();
    expect((await stand.change(0)).change).toBe("issued");
    expect(askedAgainAt - limitedAt).toBe(7000);
  });

  test("that asks for an hour while an order is followed is not asked before, and its reason is told", async () => {
    await using stand = await openKeeper();
    const began = stand.server.now;
    const busy = { status: 503, type: "serverInternal", detail: "come back later", headers: { "retry-after": "3600" } };
    expect(await failWith(stand, on("/order", busy))).toContain("503 (serverInternal: come back later)");
    expect(stand.server.requests.filter(({ path }) => path === "/order")).toHaveLength(1);
    expect(Date.parse(stand.changes[0]?.nextAttempt ?? "")).toBeGreaterThan(began + 3_600_000);
  });

  test("that does not accept some of the names is told of with all of them, and does not delay others for ever", async () => {
    await using stand = await openKeeper({ names: ["good.test", "bad.test", "slow.test", "worse.test"] });
    const began = stand.server.now;
    const why = await failWith(
      stand,
      on("/authorization", ({ path, before }) => {
        const name = path.split("/").at(-1) ?? "";
        const isOver = before > 0 && name !== "slow.test";
        const error = { type: "urn:ietf:params:acme:error:dns", detail: `NXDOMAIN ${name}` };
        const status = !isOver ? "pending" : name === "good.test" ? "valid" : "invalid";
        const challenge = { type: "tls-alpn-01", url: "/challenge/x", status, token: "abcdefghijklmnopqrstuv", error };
        return { body: { status, identifier: { type: "dns", value: name }, challenges: [challenge] } };
      }),
    );
    expect(why).toContain("did not accept tls-alpn-01 for bad.test (dns: NXDOMAIN bad.test). Open the port");
    expect(stand.server.now - began).toBeLessThan(10_000);
  });

  test("that refuses two names is told of with both", async () => {
    await using stand = await openKeeper({ names: ["bad.test", "good.test", "worse.test"] });
    const why = await failWith(
      stand,
      on("/authorization", ({ path, before }) => {
        const name = path.split("/").at(-1) ?? "";
        const status = before === 0 ? "pending" : name === "good.test" ? "valid" : "invalid";
        const error = { type: "urn:ietf:params:acme:error:dns", detail: "NXDOMAIN" };
        const challenge = { type: "tls-alpn-01", url: "/challenge/x", status, token: "abcdefghijklmnopqrstuv", error };
        return { body: { status, identifier: { type: "dns", value: name }, challenges: [challenge] } };
      }),
    );
    expect(why).toContain("for bad.test (dns: NXDOMAIN) and for worse.test (dns: NXDOMAIN). Open the port");
  });
});
