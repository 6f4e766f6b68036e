import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm, stat, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCli } from "../../../src/cli/run-cli.ts";
import { makeCertificate } from "../../support/certificate.ts";
import { createFakeIo } from "../../support/fake-io.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "penstock-cert-"));
});

afterEach(() => rm(folder, { recursive: true }));

async function run(...args: string[]) {
  const io = createFakeIo({ folder });
  const code = await runCli(["cert", ...args], io);
  return { code, printed: io.printed(), told: io.told };
}

const read = (file: string) => readFile(join(folder, file), "utf8");

async function readPair(at = "") {
  const certificate = new X509Certificate(await read(join(at, "fullchain.pem")));
  const authority = new X509Certificate(await read(join(at, "ca.pem")));
  return { certificate, authority, key: createPrivateKey(await read(join(at, "privkey.pem"))) };
}

/** Days from now, rounded. */
const daysUntil = (date: Date) => Math.round((date.getTime() - Date.now()) / (24 * 60 * 60 * 1000));

describe("penstock cert", () => {
  test("makes an authority and a certificate for names, wildcards and addresses", async () => {
    const { code } = await run("Proxy.Corp.test", "*.corp.test", "bücher.example", "192.0.2.1", "[2001:db8::1]", "::1");
    expect(code).toBe(0);
    const { certificate, authority, key } = await readPair();
    expect(certificate.subject).toBe("CN=proxy.corp.test");
    for (const name of ["proxy.corp.test", "any.corp.test", "xn--bcher-kva.example"])
      expect(certificate.checkHost(name)).toBeDefined();
    for (const address of ["192.0.2.1", "2001:db8::1", "::1"]) expect(certificate.checkIP(address)).toBeDefined();
    expect(certificate.checkHost("corp.test")).toBeUndefined();
    expect(certificate.checkPrivateKey(key)).toBe(true);
    expect(certificate.verify(authority.publicKey)).toBe(true);
    expect(certificate.checkIssued(authority)).toBe(true);
    expect([certificate.ca, authority.ca]).toEqual([false, true]);
    expect([daysUntil(certificate.validToDate), daysUntil(authority.validToDate)]).toEqual([397, 3650]);
    expect(certificate.validFromDate.getTime()).toBeLessThan(Date.now() - 30 * 60 * 1000);
  });

  test("keeps both keys from other users", async () => {
    await run("a.test");
    for (const file of ["ca.key", "privkey.pem"]) expect((await stat(join(folder, file))).mode & 0o777).toBe(0o600);
    for (const file of ["ca.pem", "fullchain.pem"]) expect((await stat(join(folder, file))).mode & 0o777).toBe(0o644);
  });

  test("signs again with the authority that is there, and leaves no other file", async () => {
    await run("a.test", "--folder", "tls/proxy");
    const before = await readPair("tls/proxy");
    const { code, told } = await run("b.test", "--folder=tls/proxy", "--days", "30");
    const after = await readPair("tls/proxy");
    expect(code).toBe(0);
    expect(told).toEqual([expect.stringMatching(/^Wrote tls\/proxy\/fullchain\.pem and .* for b\.test, valid until/)]);
    expect(after.authority.fingerprint256).toBe(before.authority.fingerprint256);
    expect(after.certificate.serialNumber).not.toBe(before.certificate.serialNumber);
    expect(after.certificate.verify(before.authority.publicKey)).toBe(true);
    expect(daysUntil(after.certificate.validToDate)).toBe(30);
    const present = await Array.fromAsync(new Bun.Glob("**").scan({ cwd: join(folder, "tls/proxy") }));
    expect(present.sort()).toEqual(["ca.key", "ca.pem", "fullchain.pem", "privkey.pem"]);
  });

  test("gives every authority a name of its own", async () => {
    await run("a.test", "--folder", "1");
    await run("a.test", "--folder", "2");
    const [one, two] = [await readPair("1"), await readPair("2")];
    expect(one.authority.subject).not.toBe(two.authority.subject);
    expect(one.authority.subject).toStartWith("CN=Penstock on ");
  });

  test("prints what to write into the configuration and how clients come to trust it", async () => {
    const { printed, told } = await run("::1", "--folder", "tls");
    expect(printed).toContain('tls: { cert: "tls/fullchain.pem", key: "tls/privkey.pem" }');
    expect(printed).toContain("curl --proxy https://[::1]:8443 --proxy-cacert tls/ca.pem");
    for (const part of [
      "update-ca-certificates",
      "update-ca-trust",
      "security add-trusted-cert",
      "certutil",
      "Firefox",
    ])
      expect(printed).toContain(part);
    expect(told[0]).toBe("Made an authority: tls/ca.pem. Keep its key, tls/ca.key, to yourself.");
    expect((await run("*.corp.test")).printed).toContain("https://proxy.corp.test:8443");
  });

  test("never writes over a certificate that its authority has not signed", async () => {
    const foreign = await makeCertificate();
    await writeFile(join(folder, "fullchain.pem"), foreign.cert);
    const { code, told } = await run("a.test");
    expect(code).toBe(1);
    expect(told[0]).toMatch(/^Cannot write .*fullchain\.pem: the one that is there is not signed by ca\.pem\./);
    expect(await read("fullchain.pem")).toBe(foreign.cert);
    await writeFile(join(folder, "fullchain.pem"), "no PEM");
    expect((await run("a.test")).code).toBe(1);
  });

  test("says what is wrong with the authority that is there, and touches nothing", async () => {
    await run("a.test");
    const before = await read("fullchain.pem");
    const key = await read("ca.key");
    await unlink(join(folder, "ca.key"));
    expect((await run("a.test")).told[0]).toMatch(/^Cannot use the authority in .*ca\.key is missing/);
    const foreign = await makeCertificate();
    await writeFile(join(folder, "ca.key"), foreign.key);
    expect((await run("a.test")).told[0]).toContain("they are no authority that this command made");
    await writeFile(join(folder, "ca.key"), "no PEM");
    expect((await run("a.test")).code).toBe(1);
    expect(await read("fullchain.pem")).toBe(before);
    await writeFile(join(folder, "ca.key"), key);
    expect((await run("a.test")).code).toBe(0);
  });

  test("refuses what is no name, no number of days, and no name at all", async () => {
    const wrong = async (...args: string[]) => {
      const { code, told } = await run(...args);
      expect(code).toBe(2);
      return told[0];
    };
    expect(await wrong()).toBe("Missing NAME.");
    expect(await wrong("a.test", "")).toBe("Found an empty argument.");
    expect(await wrong("a_b c")).toStartWith('"a_b c" is no name: a host has only');
    expect(await wrong("*.10.0.0.1")).toContain("an address has no wildcard");
    expect(await wrong("a.*.test")).toContain("is no name");
    expect(await wrong("https://a.test")).toContain("is no name");
    for (const days of ["0", "826", "-1", "1.5", "ten"])
      expect(await wrong("a.test", `--days=${days}`)).toContain("Write one from 1 to 825.");
    expect(await Array.fromAsync(new Bun.Glob("**").scan({ cwd: folder }))).toEqual([]);
  });

  test("says so when it may not write there", async () => {
    await writeFile(join(folder, "file"), "");
    const { code, told } = await run("a.test", "--folder", "file/tls");
    expect(code).toBe(1);
    expect(told[0]).toStartWith("Cannot write into ");
  });
});
