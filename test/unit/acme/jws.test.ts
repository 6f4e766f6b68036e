import { describe, expect, test } from "bun:test";
import {
  bindExternally,
  makeAccountKey,
  openAccountKey,
  signHs256,
  signJws,
  takeThumbprint,
  writeSigningInput,
} from "../../../src/acme/jws.ts";

function decode(part: string): unknown {
  return JSON.parse(Buffer.from(part, "base64url").toString());
}

/** RFC 7515 §A.3.1. */
const rfcKey = {
  kty: "EC",
  crv: "P-256",
  x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
  y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
  d: "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
};

describe("takeThumbprint()", () => {
  test("gives that of RFC 7638 §3.1 for its RSA key, whatever else is in it", () => {
    const key = {
      kty: "RSA",
      n: "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
      e: "AQAB",
      alg: "RS256",
      kid: "2011-04-29",
    };
    expect(takeThumbprint(key)).toBe("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
  });

  test("gives that of RFC 8037 §A.3 for its Ed25519 key", () => {
    const key = { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" };
    expect(takeThumbprint(key)).toBe("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
  });
});

describe("signJws()", () => {
  test("writes a signing input as RFC 7515 §A.3 has it, and a signature that its key verifies", async () => {
    const key = await openAccountKey(rfcKey);
    if (key === undefined) throw new Error("The key of the RFC cannot be opened");
    const jws = await signJws(key.privateKey, {}, { iss: "joe" });
    expect(jws.protected).toBe("eyJhbGciOiJFUzI1NiJ9");
    const { d: _, ...publicKey } = rfcKey;
    const algorithm = { name: "ECDSA", namedCurve: "P-256" };
    const verifier = await crypto.subtle.importKey("jwk", publicKey, algorithm, false, ["verify"]);
    const verify = (signature: string, input: string) =>
      crypto.subtle.verify(
        { name: "ECDSA", hash: "SHA-256" },
        verifier,
        Buffer.from(signature, "base64url"),
        Buffer.from(input),
      );
    expect(await verify(jws.signature, `${jws.protected}.${jws.payload}`)).toBe(true);
    expect(await verify(jws.signature, `${jws.protected}.${jws.payload}x`)).toBe(false);
    // The signature of the RFC itself.
    const theirs =
      "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    expect(
      await verify("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q", theirs),
    ).toBe(true);
  });

  test("has an empty payload for POST-as-GET, which is not that of an empty map", () => {
    expect(writeSigningInput({ a: 1 }, undefined)).toBe("eyJhIjoxfQ.");
    expect(writeSigningInput({ a: 1 }, {})).toBe("eyJhIjoxfQ.e30");
  });
});

describe("signHs256()", () => {
  test("gives the signature of RFC 7515 §A.1", () => {
    const key = Buffer.from(
      "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
      "base64url",
    );
    const input =
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    expect(Buffer.from(signHs256(input, key)).toString("base64url")).toBe(
      "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    );
  });

  test("binds an account with the header and the payload of RFC 8555 §7.3.4", async () => {
    const key = await openAccountKey(rfcKey);
    if (key === undefined) throw new Error("The key of the RFC cannot be opened");
    const jws = bindExternally({ kid: "kid-1", secret: "c2VjcmV0LXNlY3JldA" }, key.jwk, "https://acme.example/new");
    expect(decode(jws.protected)).toEqual({ alg: "HS256", kid: "kid-1", url: "https://acme.example/new" });
    expect(decode(jws.payload)).toEqual({ kty: "EC", crv: "P-256", x: rfcKey.x, y: rfcKey.y });
  });
});

describe("an account key", () => {
  test("that was kept is opened again, and shows no private number", async () => {
    const kept = JSON.parse(JSON.stringify(await makeAccountKey())) as Record<string, unknown>;
    const key = await openAccountKey(kept);
    expect(key?.jwk).toEqual({ kty: "EC", crv: "P-256", x: String(kept["x"]), y: String(kept["y"]) });
  });

  test("that is of another kind or damaged is none", async () => {
    for (const kept of [
      undefined,
      null,
      {},
      "key",
      { ...rfcKey, crv: "P-384" },
      { ...rfcKey, d: "AA" },
      { ...rfcKey, x: "AA" },
    ])
      expect(await openAccountKey(kept)).toBeUndefined();
  });
});
