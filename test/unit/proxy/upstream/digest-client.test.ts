import { describe, expect, test } from "bun:test";
import { parseDigestCredentials } from "../../../../src/protocol/http1/digest.ts";
import { DigestClient } from "../../../../src/proxy/upstream/digest-client.ts";
import { Secret } from "../../../../src/secret.ts";

function createClient(user = "edge"): DigestClient {
  let cnonces = 0;
  return new DigestClient(user, new Secret("pw"), () => `cnonce${(cnonces += 1)}`);
}

function challenge(nonce: string, stale = false): string[] {
  return [`Digest realm="r", nonce="${nonce}", algorithm=SHA-256, qop="auth"${stale ? ", stale=true" : ""}`];
}

/** Nonce, count and client nonce of an answer. */
function read(value: string | undefined) {
  const parsed = parseDigestCredentials(value ?? "");
  if (!parsed.ok) return parsed.code;
  const { nonce, counted } = parsed.credentials;
  return [nonce, counted.nonceCount, counted.cnonce];
}

describe("DigestClient", () => {
  test("asks without an answer first, then with one", () => {
    const exchange = createClient().begin();
    expect(exchange.authorize("CONNECT", "a:1")).toBeUndefined();
    expect(exchange.refuse(challenge("n"))).toBe("retry");
    expect(read(exchange.authorize("CONNECT", "a:1"))).toEqual(["n", 1, "cnonce1"]);
  });

  test("answers for at once when it was asked before, counting on", () => {
    const client = createClient();
    const first = client.begin();
    first.refuse(challenge("n"));
    first.authorize("CONNECT", "a:1");
    expect(read(client.begin().authorize("CONNECT", "b:1"))).toEqual(["n", 2, "cnonce2"]);
    expect(read(client.begin().authorize("CONNECT", "c:1"))).toEqual(["n", 3, "cnonce3"]);
  });

  test("gives up when the answer to the challenge of this exchange is refused", () => {
    const exchange = createClient().begin();
    exchange.refuse(challenge("n"));
    exchange.authorize("CONNECT", "a:1");
    expect(exchange.refuse(challenge("m"))).toBe("rejected");
  });

  test("answers anew when only the nonce was stale, but not without end", () => {
    const exchange = createClient().begin();
    exchange.refuse(challenge("n0"));
    for (const nonce of ["n1", "n2"]) {
      exchange.authorize("CONNECT", "a:1");
      expect(exchange.refuse(challenge(nonce, true))).toBe("retry");
    }
    exchange.authorize("CONNECT", "a:1");
    expect(exchange.refuse(challenge("n3", true))).toBe("rejected");
  });

  test("answers anew when a remembered nonce is refused, whether the server calls it stale or not", () => {
    const client = createClient();
    client.begin().refuse(challenge("old"));
    const exchange = client.begin();
    expect(read(exchange.authorize("CONNECT", "a:1"))).toEqual(["old", 1, "cnonce1"]);
    expect(exchange.refuse(challenge("new"))).toBe("retry");
    expect(read(exchange.authorize("CONNECT", "a:1"))).toEqual(["new", 1, "cnonce2"]);
    expect(exchange.refuse(challenge("newer"))).toBe("rejected");
  });

  test("says when there is nothing that it can answer", () => {
    const exchange = createClient().begin();
    expect(exchange.refuse([])).toBe("unsupported");
    expect(exchange.refuse(['Basic realm="r"', "Negotiate"])).toBe("unsupported");
  });

  test("gives up when the credentials have no form", () => {
    const exchange = createClient("a:b").begin();
    exchange.refuse(challenge("n"));
    expect(exchange.authorize("CONNECT", "a:1")).toBeUndefined();
    expect(exchange.refuse(challenge("m"))).toBe("rejected");
  });

  test("makes client nonces of its own that differ", () => {
    const client = new DigestClient("edge", new Secret("pw"));
    client.begin().refuse(challenge("n"));
    const values = Array.from({ length: 50 }, () => String(read(client.begin().authorize("CONNECT", "a:1"))));
    expect(new Set(values).size).toBe(50);
  });
});
