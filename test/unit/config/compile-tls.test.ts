import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { formatProblem } from "../../../src/config/problem.ts";
import { compileForTest, listCompileProblems } from "../../support/compile-for-test.ts";
import type { Certificate } from "../../support/certificate.ts";
import { type CertificateAuthority, makeAuthority } from "../../support/certificate-authority.ts";

let authority: CertificateAuthority;
let proxy: Certificate;
let wild: Certificate;
let files: Map<string, string>;

/** In the middle of the certificates' life, 2026 to 2028. */
const NOW = Date.UTC(2027, 0, 1);

beforeAll(async () => {
  authority = await makeAuthority();
  const dates = { from: "20260101000000Z", to: "20280101000000Z" };
  proxy = await authority.issue({ names: ["DNS:Proxy.Corp.test", "IP:192.0.2.1", "DNS:b.test"], ...dates });
  wild = await authority.issue({ names: ["DNS:*.corp.test"], to: "20270601000000Z", from: "20260101000000Z" });
  files = new Map([
    ["fullchain.pem", `${proxy.cert}${authority.cert}`],
    ["privkey.pem", proxy.key],
    ["wild.pem", wild.cert],
    ["wild.key", wild.key],
    ["ca.pem", authority.cert],
    ["ca.key", authority.key],
    ["text.pem", "no PEM at all"],
  ]);
});

afterAll(() => authority[Symbol.asyncDispose]());

const pair = { cert: "fullchain.pem", key: "privkey.pem" };

function problems(tls: object, now = NOW): string[] {
  return listCompileProblems({ listen: [{ port: 0, tls }] }, { files, now });
}

function plan(tls: object) {
  const [listener] = compileForTest({ listen: [{ port: 0, tls }] }, { files, now: NOW }).listeners;
  return listener?.tls;
}

describe("compileConfig() on the TLS of listeners", () => {
  test("takes the names and the end of each certificate from its file", () => {
    expect(plan({ ...pair, certificates: [{ cert: "wild.pem", key: "wild.key" }] })).toEqual({
      certificates: [
        {
          file: "fullchain.pem",
          cert: files.get("fullchain.pem") ?? "",
          key: proxy.key,
          names: ["proxy.corp.test", "b.test"],
          expiresAt: Date.UTC(2028, 0, 1),
        },
        {
          file: "wild.pem",
          cert: wild.cert,
          key: wild.key,
          names: ["*.corp.test"],
          expiresAt: Date.UTC(2027, 5, 1),
        },
      ],
    });
  });

  test("asks for certificates of clients when told whose, and requires them unless told otherwise", () => {
    expect(plan(pair)?.clients).toBeUndefined();
    expect(plan({ ...pair, clientCa: "ca.pem" })?.clients).toEqual({ ca: [authority.cert], required: true });
    expect(plan({ ...pair, clientCa: ["ca.pem"], clientCertificate: "optional" })?.clients).toEqual({
      ca: [authority.cert],
      required: false,
    });
  });

  test("says which file holds nothing that could be used", () => {
    expect(problems({ cert: "text.pem", key: "text.pem" })).toEqual([
      'listen[0].tls.cert: "text.pem" has no certificate in PEM form.',
      'listen[0].tls.key: "text.pem" has no unencrypted private key in PEM form.',
    ]);
    expect(problems({ ...pair, clientCa: ["ca.pem", "privkey.pem"] })).toEqual([
      'listen[0].tls.clientCa[1]: "privkey.pem" has no certificate in PEM form.',
    ]);
    expect(problems({ ...pair, certificates: [{ cert: "wild.pem", key: "text.pem" }] })).toEqual([
      'listen[0].tls.certificates[0].key: "text.pem" has no unencrypted private key in PEM form.',
    ]);
  });

  test("says which key does not belong to its certificate, also when the chain is in the wrong order", () => {
    expect(problems({ cert: "fullchain.pem", key: "wild.key" })).toEqual([
      'listen[0].tls.key: The key "wild.key" does not belong to the first certificate in "fullchain.pem". Put the certificate of that key first, and those that signed it after it.',
    ]);
    files.set("reversed.pem", `${authority.cert}${proxy.cert}`);
    expect(problems({ cert: "reversed.pem", key: "privkey.pem" })).toEqual([
      expect.stringContaining('does not belong to the first certificate in "reversed.pem"'),
    ]);
  });

  test("refuses a certificate that has expired or is not valid yet, and says since and until when", () => {
    expect(problems(pair, Date.UTC(2028, 0, 1, 0, 0, 1))).toEqual([
      'listen[0].tls.cert: The certificate "fullchain.pem" expired at 2028-01-01 00:00:00 UTC. Renew it.',
    ]);
    expect(problems(pair, Date.UTC(2025, 11, 31))).toEqual([
      'listen[0].tls.cert: The certificate "fullchain.pem" is not valid before 2026-01-01 00:00:00 UTC. Wait, or correct the clock of this machine, which says 2025-12-31 00:00:00 UTC.',
    ]);
    expect(problems(pair, Date.UTC(2028, 0, 1))).toEqual([]);
    expect(problems(pair, Date.UTC(2026, 0, 1))).toEqual([]);
  });

  test("compiles new texts of the files, or says why they cannot be used", () => {
    const { tlsFiles } = compileForTest(
      { listen: ["0", { port: 0, tls: { ...pair, clientCa: "ca.pem" } }] },
      { files, now: NOW },
    );
    expect(tlsFiles).toHaveLength(1);
    const [followed] = tlsFiles;
    expect(followed?.listener).toBe(1);
    expect(followed?.files.map(({ path }) => path)).toEqual([
      "/etc/penstock/fullchain.pem",
      "/etc/penstock/privkey.pem",
      "/etc/penstock/ca.pem",
    ]);
    const renewed = new Map([...files, ["fullchain.pem", wild.cert], ["privkey.pem", wild.key]]);
    expect(followed?.recompile(renewed, NOW)).toMatchObject({ ok: true, value: { certificates: [{ key: wild.key }] } });
    const half = new Map([...files, ["fullchain.pem", wild.cert]]);
    expect(followed?.recompile(half, NOW)).toMatchObject({
      ok: false,
      problems: [{ path: ["listen", 1, "tls", "key"] }],
    });
  });

  test("warns of each file without the certificate of the issuer, once, unless its certificate is self-signed", () => {
    const others = [
      { cert: "wild.pem", key: "wild.key" },
      { cert: "ca.pem", key: "ca.key" },
    ];
    const listen = [
      { port: 0, tls: { ...pair, certificates: others } },
      { port: 0, tls: { cert: "wild.pem", key: "wild.key" } },
    ];
    const { warnings } = compileForTest({ listen }, { files, now: NOW });
    expect(warnings.map(formatProblem)).toEqual([
      'listen[0].tls.certificates[0].cert: The file "wild.pem" has no certificate of the issuer of its first one: many clients cannot verify it, and each handshake looks for the issuer in files of the system. Append that one, and those between it and the root; certificate authorities call such a file "fullchain.pem".',
    ]);
  });
});
