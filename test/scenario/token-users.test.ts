import { createHmac } from "node:crypto";
import { describe, expect, setSystemTime, test } from "bun:test";
import { exportSPKI, generateKeyPair, importJWK, SignJWT } from "jose";
import { checkConfig } from "../../src/config/check.ts";
import { compileConfig } from "../../src/config/compile.ts";
import { formatProblem } from "../../src/config/problem.ts";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { allowLoopback, basic, startProxy, type TestProxy, waitFor } from "../support/proxy.ts";
import { AUDIENCE, forge, inSeconds, ISSUER, startIssuer, type TokenIssuer } from "../support/token-issuer.ts";
import { ok, serveHttp, takeResponse } from "../support/http-origin.ts";

type TokenUsers = Extract<NonNullable<PenstockConfig["users"]>, { jwks: unknown }>;

/** Nothing may be reached, so that 403 says that the user was accepted. */
function tokensOf({ url }: { url: string }, more: Partial<TokenUsers> = {}): PenstockConfig {
  return { users: { jwks: url, issuer: ISSUER, audience: AUDIENCE, ...more }, rules: [], default: "deny" };
}

function bearer(token: string): Record<string, string> {
  return { "Proxy-Authorization": `Bearer ${token}` };
}

/** Status and word of the answer to a CONNECT. */
async function connectWith(proxy: TestProxy, fields: Record<string, string>): Promise<string> {
  const { peer, head } = await proxy.tunnel("198.51.100.1:443", fields);
  peer[Symbol.dispose]();
  return `${head.slice(9, 12)} ${/details="?([a-z_]+)/.exec(head)?.[1] ?? ""}`;
}

const ACCEPTED = "403 denied_by_default";
const INVALID = "407 token_invalid";

async function noteOf(proxy: TestProxy, index: number): Promise<unknown> {
  return (await proxy.record(index))["note"];
}

describe("users with tokens", () => {
  test.each(["RS256", "PS512", "ES256", "ES384", "ES512", "EdDSA"])(
    "are known by a token that is signed with %s, and the keys are fetched once",
    async (alg) => {
      await using issuer = await startIssuer(alg);
      await using proxy = await startProxy(tokensOf(issuer));
      const token = await issuer.sign({ sub: "repo:org/name:ref:refs/heads/main" });
      expect(await connectWith(proxy, bearer(token))).toBe(ACCEPTED);
      expect(await connectWith(proxy, bearer(token))).toBe(ACCEPTED);
      expect(await connectWith(proxy, bearer(await issuer.sign({ sub: "bob" })))).toBe(ACCEPTED);
      expect(issuer.asked()).toBe(1);
      await proxy.record(2);
      expect(proxy.records.map((record) => record["user"])).toEqual([
        "repo:org/name:ref:refs/heads/main",
        "repo:org/name:ref:refs/heads/main",
        "bob",
      ]);
      expect(`${JSON.stringify(proxy.records)} ${proxy.messages.join()}`).not.toContain(token.split(".")[2] ?? "none");
    },
  );

  test("may send the token as the password of Basic, beside their name or the word token", async () => {
    await using issuer = await startIssuer();
    await using proxy = await startProxy({ ...tokensOf(issuer), auth: { parameters: ["session"] } });
    const token = await issuer.sign();
    expect(await connectWith(proxy, basic("ann", token))).toBe(ACCEPTED);
    expect(await connectWith(proxy, basic("token-session-a1", token))).toBe(ACCEPTED);
    expect(await connectWith(proxy, basic("bob", token))).toBe(INVALID);
    expect(await connectWith(proxy, basic("ann", "secret"))).toBe(INVALID);
    await proxy.record(3);
    expect(proxy.records.map((record) => record["user"])).toEqual(["ann", "ann", undefined, undefined]);
    // Whoever chooses a name at the issuer does not choose parameters.
    expect(await connectWith(proxy, bearer(await issuer.sign({ sub: "ann-session-a1" })))).toBe(INVALID);
  });

  test("are told of Basic and Bearer, and that a token was wrong", async () => {
    await using issuer = await startIssuer();
    await using proxy = await startProxy(tokensOf(issuer));
    const { head: asked } = await proxy.tunnel("a.example:443");
    expect(asked).toContain('\r\nProxy-Authenticate: Basic realm="penstock", charset="UTF-8"\r\n');
    expect(asked).toContain('\r\nProxy-Authenticate: Bearer realm="penstock"\r\n');
    const { head: refused } = await proxy.tunnel("a.example:443", bearer("a.b.c"));
    expect(refused).toContain('\r\nProxy-Authenticate: Bearer realm="penstock", error="invalid_token"\r\n');
    const { head: malformed } = await proxy.tunnel("a.example:443", bearer("a b"));
    expect(malformed).toContain("credentials_malformed");
  });

  test("are refused by a proxy whose users have passwords, which does not speak of Bearer", async () => {
    await using issuer = await startIssuer();
    await using proxy = await startProxy({ users: [{ name: "ann", password: "pw" }] });
    const { head } = await proxy.tunnel("a.example:443", bearer(await issuer.sign()));
    expect(head).toStartWith("HTTP/1.1 407 ");
    expect(head).not.toContain("Bearer");
  });

  test("need the claims of the configuration", async () => {
    await using issuer = await startIssuer();
    const claims = { groups: ["proxy", "admin"], scope: "egress" };
    await using proxy = await startProxy(tokensOf(issuer, { claim: "email", claims }));
    const good = { email: "ann@test", groups: ["x", "admin"], scope: "a egress b" };
    expect(await connectWith(proxy, bearer(await issuer.sign(good)))).toBe(ACCEPTED);
    expect(await proxy.record(0)).toMatchObject({ user: "ann@test" });
    for (const bad of [{ groups: ["x"] }, { groups: "proxyadmin" }, { scope: "egress-all" }, { email: undefined }])
      expect(await connectWith(proxy, bearer(await issuer.sign({ ...good, ...bad })))).toBe(INVALID);
    expect(await noteOf(proxy, 1)).toBe('the token has none of the wanted values in the claim "groups"');
  });
});

describe("a token is refused", () => {
  test("that says anything but what is wanted", async () => {
    await using issuer = await startIssuer();
    await using proxy = await startProxy(tokensOf(issuer));
    const wrong: [name: string, claims: Record<string, unknown>, note: string][] = [
      ["for another audience", { aud: "other" }, "is for another audience"],
      ["without an audience", { aud: undefined }, 'has no claim "aud"'],
      ["of another issuer", { iss: "https://id.test" }, "is of another issuer"],
      ["without an end", { exp: undefined }, 'has no claim "exp"'],
      ["of the future", { nbf: inSeconds(60) }, "is not valid yet"],
      ["with a time that is a text", { exp: "9999999999" }, 'has a wrong claim "exp"'],
      ["without a user", { sub: undefined }, "names no user"],
      ["with a user that is a number", { sub: 7 }, "names no user"],
      ["with control characters in the user", { sub: "a\r\nb" }, "names a user with characters"],
      ["with characters that turn a line around", { sub: "a\u{202E}b" }, "names a user with characters"],
      ["with half of a character in the user", { sub: "a\uD800" }, "names a user with characters"],
      ["with a very long user", { sub: "é".repeat(128) }, "names a user with more than 255 bytes"],
    ];
    for (const [at, [name, claims, note]] of wrong.entries()) {
      expect([name, await connectWith(proxy, bearer(await issuer.sign(claims)))]).toEqual([name, INVALID]);
      const record = await proxy.record(at);
      expect([name, record["note"], record["user"]]).toEqual([
        name,
        expect.stringContaining(`the token ${note}`),
        undefined,
      ]);
    }
  });

  test("that has expired, with a word of its own", async () => {
    await using issuer = await startIssuer();
    await using proxy = await startProxy(tokensOf(issuer));
    expect(await connectWith(proxy, bearer(await issuer.sign({ exp: inSeconds(-60) })))).toBe("407 token_expired");
  });

  test("that is forged, in every known way", async () => {
    await using issuer = await startIssuer("RS256");
    await using other = await startIssuer("RS256");
    await using proxy = await startProxy(tokensOf(issuer));
    const claims = { iss: ISSUER, aud: AUDIENCE, sub: "ann", exp: inSeconds(300) };
    const good = await issuer.sign();
    const [head = "", body = "", signature = ""] = good.split(".");
    const publicJwk = issuer.jwks().keys[0] ?? {};
    const pem = await exportSPKI((await importJWK(publicJwk, "RS256")) as CryptoKey);
    // The public key as the shared secret of HS256 (CVE-2016-5431).
    const confused = forge({ alg: "HS256", kid: "first" }, claims);
    const mac = (key: string) => createHmac("sha256", key).update(confused.slice(0, -1)).digest("base64url");
    const pair = await generateKeyPair("ES256");
    const own = (header: Record<string, unknown>) =>
      new SignJWT(claims).setProtectedHeader({ alg: "ES256", ...header }).sign(pair.privateKey);
    const forged = [
      forge({ alg: "none" }, claims),
      forge({ alg: "None", kid: "first" }, claims, "AA"),
      forge({ kid: "first" }, claims, signature),
      confused + mac(pem),
      confused + mac(JSON.stringify(publicJwk)),
      `${head}.${body}.${signature.slice(0, -4)}AAAA`,
      `${head}.${forge({}, { ...claims, sub: "root" }).split(".")[1]}.${signature}`,
      await other.sign(),
      await other.sign({}, { kid: "../../etc/passwd" }),
      await other.sign({}, { kid: "' OR 1=1 --\0" }),
      // Keys that the token brings along.
      await own({ kid: "first", jwk: publicJwk }),
      await own({ jku: other.url, kid: "x" }),
      await issuer
        .sign({}, { crit: ["x"], x: 1 })
        .catch(() => forge({ alg: "RS256", crit: ["x"], x: 1 }, claims, signature)),
      // Too deep, too large, encrypted, and nothing at all.
      forge(`${"[".repeat(2000)}${"]".repeat(2000)}`, claims, signature),
      forge({ alg: "RS256", kid: "first" }, `{"a":${"[".repeat(1000)}`, signature),
      `${head}.${"A".repeat(5000)}.${"B".repeat(2000)}`,
      `${head}.${body}.${signature}.${body}.${body}`,
      `${head}..${signature}`,
      forge({ alg: "RS256", kid: "first", zip: "DEF" }, good, signature),
      forge({ alg: "RS256", kid: { toString: 1 } }, claims, signature),
      forge({ alg: ["RS256"], kid: "first" }, claims, signature),
    ];
    for (const token of forged) expect([token, await connectWith(proxy, bearer(token))]).toEqual([token, INVALID]);
    expect(await connectWith(proxy, bearer(good))).toBe(ACCEPTED);
    // One for the first token, one for the first unknown key.
    expect(issuer.asked()).toBeLessThanOrEqual(2);
    expect(other.asked()).toBe(0);
    await proxy.record(forged.length);
    expect(proxy.records.filter((record) => record["user"] !== undefined)).toHaveLength(1);
  });
});

describe("the keys of tokens", () => {
  async function trade(proxy: TestProxy, issuer: TokenIssuer): Promise<string> {
    return connectWith(proxy, bearer(await issuer.sign()));
  }

  test("are fetched again when a token names an unknown key, and not for each such token", async () => {
    await using issuer = await startIssuer();
    await using stranger = await startIssuer();
    await using proxy = await startProxy(tokensOf(issuer));
    const strange = () => stranger.sign({}, { kid: crypto.randomUUID() });
    for (let at = 0; at < 8; at++) expect(await connectWith(proxy, bearer(await strange()))).toBe(INVALID);
    expect(issuer.asked()).toBe(1);
    expect(await trade(proxy, issuer)).toBe(ACCEPTED);
  });

  test("are missed with a word of its own, and are fetched when the server is back", async () => {
    await using issuer = await startIssuer();
    issuer.answerWith(() => new Response("no", { status: 500 }));
    await using proxy = await startProxy(tokensOf(issuer));
    const { head } = await proxy.tunnel("a.example:443", bearer(await issuer.sign()));
    expect(head).toStartWith("HTTP/1.1 503 Keys to verify tokens are missing\r\n");
    expect(head).toContain("\r\nRetry-After: 1\r\n");
    expect(head).toContain("keys_unavailable: the key server of users answered with 500");
    expect(proxy.messages.join("\n")).toContain("users key server");
    issuer.answerWith(undefined);
    await waitFor(async () => ((await trade(proxy, issuer)) === ACCEPTED ? true : undefined), "keys");
  });

  test.each([
    ["a redirect", () => Response.redirect("http://127.0.0.1:1/"), "redirects, which is not followed"],
    ["something else", () => new Response("<html>"), "is not JSON"],
    ["too much", () => new Response("x".repeat(600_000)), "is larger than 0.5 MiB"],
    ["shared secrets", () => Response.json({ keys: [{ kty: "oct", k: "c2VjcmV0" }] }), "has no public keys"],
    ["private keys", () => Response.json({ keys: [{ kty: "EC", crv: "P-256", d: "x" }] }), "has private keys"],
    ["nothing in time", () => new Promise<Response>(() => {}), "did not arrive within 0.2 s"],
  ])("do not come from a server that answers with %s", async (_, answer, why) => {
    await using issuer = await startIssuer();
    issuer.answerWith(answer);
    await using proxy = await startProxy(tokensOf(issuer, { timeout: why.startsWith("did not") ? "200ms" : "10s" }));
    expect(await trade(proxy, issuer)).toBe("503 keys_unavailable");
    expect(await noteOf(proxy, 0)).toBe(`the key server of users ${why}`);
  });

  test("stay in use over a reload with their server away", async () => {
    await using issuer = await startIssuer();
    await using proxy = await startProxy(tokensOf(issuer));
    expect(await trade(proxy, issuer)).toBe(ACCEPTED);
    issuer.answerWith(() => new Response("no", { status: 500 }));
    await proxy.reload({ ...tokensOf(issuer), timeouts: { connect: "3s" } });
    expect(await trade(proxy, issuer)).toBe(ACCEPTED);
    expect(issuer.asked()).toBe(1);
  });

  test("come from a file, too, and what was verified with a key that is gone does not count", async () => {
    await using issuer = await startIssuer();
    const config = tokensOf(issuer, { jwks: { file: "keys.json" } });
    const files = { "keys.json": JSON.stringify(issuer.jwks()) };
    await using proxy = await startProxy(config, { files });
    const token = await issuer.sign();
    expect(await connectWith(proxy, bearer(token))).toBe(ACCEPTED);
    await issuer.rotate("RS256", "second");
    issuer.withdraw("first");
    await proxy.reload(config, { "keys.json": JSON.stringify(issuer.jwks()) });
    expect(await connectWith(proxy, bearer(token))).toBe(INVALID);
    expect(await trade(proxy, issuer)).toBe(ACCEPTED);
    expect(issuer.asked()).toBe(0);
  });
});

test("a token that expires on a kept connection is refused there", async () => {
  await using issuer = await startIssuer();
  using origin = serveHttp(() => ok("x"));
  await using proxy = await startProxy({ ...tokensOf(issuer, { leeway: "0" }), rules: [allowLoopback] });
  const exp = inSeconds(300);
  const token = await issuer.sign({ exp });
  const peer = await proxy.connect();
  const get = async (): Promise<string> => {
    peer.write(
      `GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\nProxy-Authorization: Bearer ${token}\r\n\r\n`,
    );
    return (await takeResponse(peer)).head.slice(9, 12);
  };
  expect(await get()).toBe("200");
  expect(await get()).toBe("200");
  setSystemTime(exp * 1000);
  try {
    expect(await get()).toBe("407");
  } finally {
    setSystemTime();
  }
  expect(await proxy.record(2)).toMatchObject({ detail: "token_expired" });
});

const good = { jwks: "https://id.test/jwks", issuer: ISSUER, audience: AUDIENCE };

test.each([
  [{ ...good, jwks: "http://id.test/jwks" }, "users.jwks: The keys would come without TLS"],
  [{ ...good, jwks: "https://ann:pw@id.test/jwks" }, "users.jwks: The address has credentials"],
  [{ ...good, jwks: "id.test/jwks" }, "users.jwks: The address cannot be read"],
  [{ ...good, algorithms: ["HS256"] }, "users.algorithms[0]:"],
  [{ ...good, algorithms: ["none"] }, "users.algorithms[0]:"],
  [{ ...good, leeway: "1h" }, "users.leeway:"],
  [{ jwks: good.jwks, issuer: ISSUER }, "users.audience: Required"],
  [{ jwks: good.jwks, audience: AUDIENCE }, "users.issuer: Required"],
  [{ ...good, jwks: "http://localhost/jwks", ca: "ca.pem" }, "users.ca: There is no TLS to check"],
])("%j does not start: %s", (users, message) => {
  const checked = checkConfig({ users });
  const told = checked.ok ? "" : checked.problems.map(formatProblem).join("\n");
  expect(told).toContain(message);
  expect(told).not.toContain("pw@");
});

test("keys in a file that has none do not start, and keys without TLS are warned of", () => {
  const materials = { files: new Map([["keys.json", "{}"]]), variables: {}, terminal: false, folder: "/" };
  const compile = (users: unknown) => {
    const checked = checkConfig({ users });
    if (!checked.ok) throw new Error(checked.problems.map(formatProblem).join("\n"));
    return compileConfig(checked.value, materials);
  };
  const broken = compile({ ...good, jwks: { file: "keys.json" } });
  expect(broken.ok ? "" : broken.problems.map(formatProblem).join()).toContain('"keys.json" is no key set');
  const exposed = compile({ ...good, jwks: "http://id.test/jwks", allowHttp: true });
  expect(exposed.ok && exposed.value.warnings.map(({ message }) => message).join()).toContain("without TLS");
});
