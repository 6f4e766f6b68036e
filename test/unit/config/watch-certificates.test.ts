import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FileWatch } from "../../../src/config/watch-file.ts";
import { watchCertificates } from "../../../src/config/watch-certificates.ts";
import type { TlsPlan } from "../../../src/proxy/accept/listener-tls.ts";
import type { Certificate } from "../../support/certificate.ts";
import { type CertificateAuthority, makeAuthority } from "../../support/certificate-authority.ts";
import { compileForTest } from "../../support/compile-for-test.ts";
import { waitFor } from "../../support/wait-for.ts";

const SETTLE_MS = 150;
const NOW = Date.UTC(2027, 0, 1);

let authority: CertificateAuthority;
let first: Certificate;
let second: Certificate;
/** The second one without the certificate of its issuer. */
let alone: Certificate;

beforeAll(async () => {
  authority = await makeAuthority();
  first = withIssuer(await authority.issue({ to: "20270110120000Z" }));
  alone = await authority.issue({ to: "20280101000000Z" });
  second = withIssuer(alone);
});

function withIssuer({ cert, key }: Certificate): Certificate {
  return { cert: `${cert}${authority.cert}`, key };
}

afterAll(() => authority[Symbol.asyncDispose]());

let folder: string;
let watch: FileWatch | undefined;
let messages: string[];
let plans: TlsPlan[];
let refusal: string | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "penstock-watch-"));
  messages = [];
  plans = [];
  refusal = undefined;
});

afterEach(async () => {
  watch?.close();
  watch = undefined;
  await rm(folder, { recursive: true });
});

/** Follows `cert.pem` and `key.pem` of the folder, which hold `pair` when the configuration was read. */
function follow(pair: Certificate, now = NOW): void {
  const files = new Map([
    ["cert.pem", pair.cert],
    ["key.pem", pair.key],
  ]);
  const tls = { cert: "cert.pem", key: "key.pem" };
  const { tlsFiles } = compileForTest({ listen: [{ port: 0, tls }] }, { files, folder, now: NOW });
  watch = watchCertificates(tlsFiles, {
    now: () => now,
    tell: (message) => messages.push(message),
    replace(_listener, plan) {
      if (refusal !== undefined) return { ok: false, message: refusal };
      plans.push(plan);
      return { ok: true };
    },
    settleMs: SETTLE_MS,
    pollMs: 40,
  });
}

async function write(pair: Partial<Certificate>, into = folder): Promise<void> {
  await mkdir(into, { recursive: true });
  if (pair.cert !== undefined) await writeFile(join(into, "cert.pem"), pair.cert);
  if (pair.key !== undefined) await writeFile(join(into, "key.pem"), pair.key);
}

function untilReplaced(count = 1): Promise<TlsPlan> {
  return waitFor(() => plans[count - 1], `plan ${count}; so far: ${messages.join(" | ")}`);
}

function untilTold(part: string): Promise<string> {
  return waitFor(() => messages.find((message) => message.includes(part)), `${part}; so far: ${messages.join(" | ")}`);
}

describe("watchCertificates()", () => {
  test("sees files that are written over", async () => {
    await write(first);
    follow(first);
    await write(second);
    const plan = await untilReplaced();
    expect(plan.certificates[0]).toMatchObject({ cert: second.cert, key: second.key });
    expect(messages.at(-1)).toBe('Read the certificates again: "cert.pem" until 2028-01-01.');
  });

  test("warns of a new file without the certificate of the issuer", async () => {
    await write(first);
    follow(first);
    await write(alone);
    await untilReplaced();
    expect(messages.at(-1)).toStartWith('The file "cert.pem" has no certificate of the issuer of its first one:');
  });

  test("sees files that are renamed over the old ones", async () => {
    await write(first);
    follow(first);
    await write(second, join(folder, "new"));
    for (const name of ["cert.pem", "key.pem"]) await rename(join(folder, "new", name), join(folder, name));
    expect((await untilReplaced()).certificates[0]?.cert).toBe(second.cert);
  });

  test("sees links that lead elsewhere, of the files and of their folder", async () => {
    const relink = async (to: string, name: string) => {
      await symlink(to, join(folder, `${name}.new`));
      await rename(join(folder, `${name}.new`), join(folder, name));
    };
    await write(first, join(folder, "1"));
    await write(second, join(folder, "2"));
    await symlink("1", join(folder, "live"));
    for (const name of ["cert.pem", "key.pem"]) await symlink(`live/${name}`, join(folder, name));
    follow(first);
    await relink("2", "live");
    expect((await untilReplaced(1)).certificates[0]?.cert).toBe(second.cert);
    for (const name of ["cert.pem", "key.pem"]) await relink(`1/${name}`, name);
    expect((await untilReplaced(2)).certificates[0]?.cert).toBe(first.cert);
  });

  test("says nothing of the moment between a new certificate and its key", async () => {
    // Again where this machine makes it too long a moment.
    for (let isShort = false; !isShort;) {
      watch?.close();
      [messages, plans] = [[], []];
      await write(first);
      follow(first);
      const begun = performance.now();
      await write({ cert: second.cert });
      await write({ key: second.key });
      isShort = performance.now() - begun < SETTLE_MS / 2;
      await untilReplaced();
    }
    expect(messages.filter((message) => message.includes("Cannot"))).toEqual([]);
  });

  test("keeps the old pair while the new one cannot be used, says why, and takes it once it can", async () => {
    await write(first);
    follow(first);
    await write({ cert: second.cert });
    await untilTold("Cannot use the new certificates. The old ones stay:");
    await untilTold("does not belong to the first certificate");
    expect(plans).toEqual([]);
    await write({ key: second.key });
    expect((await untilReplaced()).certificates[0]?.key).toBe(second.key);
  });

  test("keeps the old pair when a file is gone, empty, or no PEM", async () => {
    await write(first);
    follow(first);
    await rm(join(folder, "key.pem"));
    await untilTold('Cannot read "key.pem": there is no such file');
    await write({ key: "" });
    await untilTold('"key.pem" has no unencrypted private key');
    await write({ key: first.key, cert: "half a certif" });
    await untilTold('"cert.pem" has no certificate');
    expect(plans).toEqual([]);
  });

  test("keeps the old pair when the new one has expired or the TLS library refuses it", async () => {
    await write(second);
    follow(second, Date.UTC(2027, 5, 1));
    await write(first);
    await untilTold('The certificate "cert.pem" expired at 2027-01-10 12:00:00 UTC');
    refusal = "Cannot use the certificate: too short.";
    await write(await authority.issue());
    await untilTold("too short");
    expect(plans).toEqual([]);
  });
});
