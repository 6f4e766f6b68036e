import { describe, expect, test } from "bun:test";
import { explainTrust } from "../../../../src/cli/trace/explain-trust.ts";
import { readTlsSession } from "../../../../src/protocol/tls/explain/read-tls-session.ts";
import { loadTlsFixture } from "../../../support/tls-fixture.ts";

const { client, server } = loadTlsFixture("openssl-tls12-http");
const chain = readTlsSession(client, server, "").messages.find(({ name }) => name === "Certificate")?.chain ?? [];
const pem = (der: Uint8Array | undefined) =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(der ?? []).toString("base64")}\n-----END CERTIFICATE-----\n`;
const root = pem(chain[2]);

const trusted = { trusted: true, reason: undefined, nameFault: undefined };
const YEAR_MS = 365 * 24 * 60 * 60 * 1000;
const issued = Date.UTC(2026, 11, 1);

function explain(verdict = trusted, basis: Partial<Parameters<typeof explainTrust>[3]> = {}, certificates = chain) {
  const fields = explainTrust(certificates, "server.example", verdict, {
    roots: [root],
    source: "the test",
    now: issued,
    ...basis,
  });
  return Object.fromEntries(fields.map(({ label, value }) => [label, value]));
}

describe("explainTrust()", () => {
  test("says who signed whom, and what is at the end", () => {
    expect(explain()).toMatchObject({
      server: "CN=server.example",
      "server signed by": expect.stringMatching(/CN=Intermediate.* \(the next one, verified\)$/),
      "server names": [
        "server.example",
        "*.server.example",
        "IP Address 127.0.0.1",
        expect.stringContaining("IP Address"),
      ],
      issuer: expect.stringContaining("CN=Intermediate"),
      "issuer key": expect.stringMatching(/^ec /),
      root: expect.stringContaining("CN=Root"),
      "root signed by": "itself",
      name: "is for server.example",
      trust: expect.stringMatching(/^trusted by .*CN=Root.* of the test$/),
    });
  });

  test("finds a root that the server did not send", () => {
    expect(explain(trusted, {}, chain.slice(0, 2))["trust"]).toMatch(/^trusted by .*CN=Root.* of the test$/);
  });

  test("names the source alone when the root cannot be told", () => {
    expect(explain(trusted, { roots: ["no certificate"] })["trust"]).toBe("trusted by the test");
  });

  test("says what is wrong", () => {
    expect(
      explain({ trusted: false, reason: "CERT_HAS_EXPIRED", nameFault: "is not for example.org" } as never),
    ).toMatchObject({
      name: "IS NOT for example.org",
      trust: "NOT trusted: CERT_HAS_EXPIRED",
    });
  });

  test("counts the days", () => {
    expect(explain()["server valid"]).toMatch(/ to \d{4}-\d\d-\d\d, \d+ days left$/);
    expect(explain(trusted, { now: issued + 500 * YEAR_MS })["server valid"]).toMatch(/, EXPIRED \d+ days ago$/);
    expect(explain(trusted, { now: 0 })["server valid"]).toEndWith(", NOT YET VALID");
  });

  test("sees that the next certificate is not the issuer", () => {
    const [first, , last] = chain;
    if (first === undefined || last === undefined) throw new Error("The fixture has three certificates");
    expect(explain(trusted, {}, [first, last])["server signed by"]).toEndWith(" (NOT the next one)");
  });

  test("tells what cannot be read", () => {
    expect(explain(trusted, {}, [new Uint8Array(3)])["server"]).toBe("a certificate that cannot be read, 3 bytes");
    expect(explain(trusted, {}, [])).toEqual({});
  });
});
