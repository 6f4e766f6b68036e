import { describe, test } from "bun:test";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { answerQuestion, findQuestion } from "../support/approvals.ts";
import { expectOf, expectRefusal, resolver } from "../support/expect-refusal.ts";
import { startProxy } from "../support/proxy.ts";
import { AUDIENCE, inSeconds, ISSUER, startIssuer, type TokenIssuer } from "../support/token-issuer.ts";

function tokensOf({ url }: TokenIssuer): PenstockConfig {
  return { users: { jwks: url, issuer: ISSUER, audience: AUDIENCE } };
}

describe("the same word in Proxy-Status, body, log and metric for what others decide:", () => {
  test("a list without content that a rule denies by", async () => {
    using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("no", { status: 500 }) });
    await expectOf("some.example:443", "list_unavailable", {
      rules: [{ name: "ads", to: [{ url: `http://127.0.0.1:${server.port}/ads.txt?key=secret` }], deny: true }],
    });
  });

  test("an operator who does not answer in time", () =>
    expectOf("some.example:443", "approval_missing", {
      rules: [{ name: "others", ask: true }],
      timeouts: { ask: "100ms" },
    }));

  test("an operator who denies", async () => {
    await using proxy = await startProxy({ rules: [{ name: "others", ask: true }] }, { resolver });
    using peer = await proxy.connect();
    peer.write("CONNECT some.example:443 HTTP/1.1\r\nHost: some.example:443\r\n\r\n");
    const { id } = await findQuestion(proxy, "some.example:443");
    await answerQuestion(proxy, id, { allow: false });
    await peer.untilEnd();
    await expectRefusal(proxy, peer.text, "approval_denied");
  });

  test("too many targets that wait for an operator", async () => {
    const config = { rules: [{ name: "others", ask: true as const }], approvals: { maxPerClient: 1 } };
    await using proxy = await startProxy(config, { resolver });
    using waiting = await proxy.connect();
    waiting.write("CONNECT some.example:443 HTTP/1.1\r\nHost: some.example:443\r\n\r\n");
    await findQuestion(proxy, "some.example:443");
    const { head } = await proxy.tunnel("other.example:443");
    await expectRefusal(proxy, head, "approvals_full");
  });

  test("a token that is not accepted", async () => {
    await using issuer = await startIssuer();
    await expectOf("127.0.0.1:1", "token_invalid", tokensOf(issuer), {
      fields: { "Proxy-Authorization": "Bearer a.b.c" },
    });
  });

  test("a token that has expired", async () => {
    await using issuer = await startIssuer();
    const fields = { "Proxy-Authorization": `Bearer ${await issuer.sign({ exp: inSeconds(-60) })}` };
    await expectOf("127.0.0.1:1", "token_expired", tokensOf(issuer), { fields });
  });

  test("keys of tokens that are not there", async () => {
    await using issuer = await startIssuer();
    issuer.answerWith(() => new Response("no", { status: 500 }));
    const fields = { "Proxy-Authorization": `Bearer ${await issuer.sign()}` };
    await expectOf("127.0.0.1:1", "keys_unavailable", tokensOf(issuer), { fields });
  });
});
