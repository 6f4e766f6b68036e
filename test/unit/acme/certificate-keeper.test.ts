import { describe, expect, test } from "bun:test";
import { readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AcmeFiles } from "../../../src/acme/acme-files.ts";
import { on } from "../../support/acme-server.ts";
import { openKeeper } from "../../support/keeper-stand.ts";
import { waitFor } from "../../support/wait-for.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Files of a disk that has no room for certificates. */
class FullDisk extends AcmeFiles {
  isFull = true;
  tries = 0;

  override writeCertificate(certificate: Parameters<AcmeFiles["writeCertificate"]>[0]): Promise<void> {
    this.tries += 1;
    const full = Object.assign(new Error("There is no space left"), { code: "ENOSPC" });
    return this.isFull ? Promise.reject(full) : super.writeCertificate(certificate);
  }
}

describe("a certificate that is kept", () => {
  test("is ordered at once when there is none, and is then in files for the user of the proxy alone", async () => {
    await using stand = await openKeeper({
      names: ["proxy.example.org", "other.example.org"],
      email: "ops@example.org",
    });
    const { server, keeper, files } = stand;
    keeper.start();
    expect(await stand.change(0)).toMatchObject({ change: "issued", failures: 0, why: undefined });
    expect(server.orders).toEqual([
      {
        identifiers: [
          { type: "dns", value: "proxy.example.org" },
          { type: "dns", value: "other.example.org" },
        ],
      },
    ]);
    expect(stand.used).toHaveLength(1);
    expect(files.readCertificate()?.cert).toBe(stand.used[0]?.cert ?? "");
    for (const file of [files.certificate, join(dirname(files.certificate), "account.json")])
      expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(dirname(files.certificate))).mode & 0o777).toBe(0o700);
    expect(stand.proofs).toEqual([]);
    const account = server.requests.find(({ path }) => path === "/new-account");
    expect(account?.payload).toEqual({ termsOfServiceAgreed: true, contact: ["mailto:ops@example.org"] });
    // The account is named by its URL from then on, and each nonce is used once.
    expect(server.requests.find(({ path }) => path === "/certificate")?.header).toMatchObject({
      alg: "ES256",
      kid: "https://acme.test/account",
    });
    const nonces = server.requests.flatMap(({ header }) => (header["nonce"] === undefined ? [] : header["nonce"]));
    expect(new Set(nonces).size).toBe(nonces.length);
  });

  test("is renewed after two thirds of its life, where the authority suggests nothing", async () => {
    await using stand = await openKeeper();
    stand.server.jumpMs = 6 * HOUR;
    const began = stand.server.now;
    stand.keeper.start();
    await stand.change(1);
    const days = (stand.server.now - began) / DAY;
    expect(days).toBeGreaterThan(59);
    expect(days).toBeLessThan(61);
    expect(stand.server.orders[1]).not.toHaveProperty("replaces");
    // The account is known already.
    expect(stand.server.requests.filter(({ path }) => path === "/new-account")).toHaveLength(1);
  });

  test("is renewed at a moment of the window that the authority suggests, and says what it replaces", async () => {
    await using stand = await openKeeper();
    const { server } = stand;
    server.jumpMs = 4 * HOUR;
    server.window = ({ from }) => ({
      suggestedWindow: {
        start: new Date(from + 20 * DAY).toISOString(),
        end: new Date(from + 30 * DAY).toISOString(),
      },
      explanationURL: "https://acme.test/why",
    });
    const began = server.now;
    stand.keeper.start();
    await stand.change(1);
    expect((server.now - began) / DAY).toBeCloseTo(25, 0);
    expect(server.orders[1]?.["replaces"]).toMatch(/^[\w-]{20,}\.[\w-]{4,}$/);
    const asked = server.requests.filter(({ path }) => path.startsWith("/renewal/"));
    expect(asked[0]?.path).toBe(`/renewal/${String(server.orders[1]?.["replaces"])}`);
    // Twice a day, as Retry-After says.
    expect(asked.length).toBeGreaterThan(40);
    expect(asked.length).toBeLessThan(60);
    expect(stand.told.join("\n")).toContain("It says why at https://acme.test/why.");
  });

  test("that is to be revoked is renewed at once, but not again and again", async () => {
    await using stand = await openKeeper();
    const { server } = stand;
    server.jumpMs = 4 * HOUR;
    const past = { suggestedWindow: { start: "2026-01-01T00:00:00Z", end: "2026-01-02T00:00:00Z" } };
    server.window = () => past;
    stand.keeper.start();
    const began = server.now;
    await stand.change(2);
    expect((server.now - began) / DAY).toBeGreaterThan(1.8);
    expect((server.now - began) / DAY).toBeLessThan(3);
  });

  test("of six days is renewed after three of them", async () => {
    await using stand = await openKeeper({ profile: "shortlived" });
    stand.server.lifeMs = 6 * DAY;
    const began = stand.server.now;
    stand.keeper.start();
    await stand.change(2);
    const days = (stand.server.now - began) / DAY;
    expect(days).toBeGreaterThan(5.5);
    expect(days).toBeLessThan(6.5);
    expect(stand.server.orders[0]).toMatchObject({ profile: "shortlived" });
  });

  test("that begins in the past and is half over when it is issued is not renewed at once", async () => {
    await using stand = await openKeeper();
    // It begins an hour before: 30 of 90 minutes are left.
    stand.server.lifeMs = 1.5 * HOUR;
    stand.server.jumpMs = 30_000;
    stand.keeper.start();
    await stand.change(0);
    const began = stand.server.now;
    await stand.change(1);
    expect((stand.server.now - began) / 60_000).toBeGreaterThan(2.5);
    expect((stand.server.now - began) / 60_000).toBeLessThan(5);
  });

  test("is ordered when the pause after a failure was noted with a clock that was years ahead", async () => {
    await using stand = await openKeeper();
    const { files, server } = stand;
    await files.prepare();
    await files.writeAttempts({ failures: 1, notBefore: server.now + 900 * DAY, askedUntil: 0 });
    const began = server.now;
    stand.keeper.start();
    expect(await stand.change(0)).toMatchObject({ change: "issued" });
    expect(server.now - began).toBeLessThan(HOUR);
  });

  test("is ordered without what it replaces when the server says that it was replaced already", async () => {
    await using stand = await openKeeper();
    const { server } = stand;
    server.jumpMs = 12 * HOUR;
    server.window = () => ({});
    server.intercept = on("/new-order", ({ payload }) =>
      payload?.["replaces"] === undefined ? undefined : { status: 409, type: "alreadyReplaced" },
    );
    stand.keeper.start();
    expect((await stand.change(1)).change).toBe("issued");
  });

  test("stays in use when a renewal fails, and the next attempts wait longer and longer", async () => {
    await using stand = await openKeeper();
    const { server } = stand;
    server.jumpMs = 6 * HOUR;
    stand.keeper.start();
    await stand.change(0);
    server.intercept = on("/new-order", () => {
      server.jumpMs = 60_000;
      return { status: 403, type: "unauthorized", detail: "no" };
    });
    await stand.change(4);
    const times = stand.changes.slice(1).map(({ nextAttempt = "" }) => Date.parse(nextAttempt));
    const pauses = times.slice(1).map((time, at) => time - (times[at] ?? 0));
    expect(pauses[2]).toBeGreaterThan((pauses[0] ?? 0) * 1.5);
    expect(stand.used).toHaveLength(1);
    expect(stand.keeper.status).toMatchObject({ issued: 1, expiresAt: stand.used[0]?.to });
    expect(stand.told.at(-1)).toMatch(/The one before stays in use until .*\. The next attempt is at /);
  });

  test("is not ordered with another account because the file of the account cannot be read", async () => {
    await using stand = await openKeeper();
    const { server, files } = stand;
    await files.prepare();
    const account = join(dirname(files.certificate), "account.json");
    await symlink("account.json", account);
    stand.keeper.start();
    await waitFor(() => stand.told.length > 1, "a message");
    expect(stand.told[1]).toContain("the files in the folder of the state cannot be used: ELOOP (");
    expect(server.requests.filter(({ path }) => path === "/new-account")).toEqual([]);
    expect(await readlink(account)).toBe("account.json");
    await rm(account);
    expect(await stand.change(0)).toMatchObject({ change: "issued" });
  });

  test("is used from its file at the next start, also when the server is away", async () => {
    await using stand = await openKeeper();
    stand.keeper.start();
    await stand.change(0);
    await stand.keeper.stop();
    stand.server.intercept = () => "away";
    const next = stand.another();
    next.load();
    expect(stand.used).toHaveLength(2);
    stand.server.stopped = false;
    next.start();
    await waitFor(() => stand.server.now > Date.UTC(2026, 11, 10), "some days");
    expect(stand.changes).toHaveLength(1);
  });

  test("is ordered anew when its file is damaged", async () => {
    await using stand = await openKeeper();
    stand.keeper.start();
    await stand.change(0);
    await stand.keeper.stop();
    await writeFile(stand.files.certificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    const next = stand.another();
    next.start();
    expect((await stand.change(1)).change).toBe("issued");
  });

  test("that the TLS library refuses is not ordered again at once, nor told of again and again", async () => {
    await using stand = await openKeeper();
    const { server } = stand;
    const refusing = stand.another({ use: () => "Cannot use the certificate." });
    const began = server.now;
    refusing.start();
    await stand.change(2);
    expect(server.now - began).toBeGreaterThan(10 * 60_000);
    expect(stand.changes.map(({ change }) => change)).toEqual(["failed", "failed", "failed"]);
    expect(stand.told.filter((message) => message === "Cannot use the certificate.")).toHaveLength(3);
  });

  test("is in use when it cannot be written, and is written once that is possible", async () => {
    await using stand = await openKeeper();
    const { server } = stand;
    const files = new FullDisk(stand.folder.path, stand.keeper.plan);
    const keeper = stand.another({ files });
    keeper.start();
    expect(await stand.change(0)).toMatchObject({ change: "issued", failures: 0 });
    const cert = stand.used[0]?.cert ?? "";
    expect(keeper.current?.cert).toBe(cert);
    const why = `Cannot write the certificate for proxy.example.org to ${files.certificate}: ENOSPC. It is used as it is, and lost when this process ends.`;
    expect(keeper.status.problem).toBe(why);
    server.stopped = false;
    await waitFor(() => files.tries > 3, "other tries");
    expect(files.readCertificate()).toBeUndefined();
    files.isFull = false;
    await waitFor(() => keeper.status.problem === undefined, "the file");
    expect(files.readCertificate()?.cert).toBe(cert);
    expect(stand.told.filter((message) => message.startsWith("Cannot write"))).toEqual([`${why} Another try follows.`]);
    expect(stand.told.at(-1)).toBe(`Wrote the certificate for proxy.example.org to ${files.certificate}.`);
    expect(server.orders).toHaveLength(1);
    expect(stand.used).toHaveLength(1);
  });

  test("is not ordered while another process has the lock, and what that one gets is used", async () => {
    await using stand = await openKeeper();
    let isLocked = true;
    const waiting = stand.another({ lock: () => (isLocked ? undefined : () => {}) });
    waiting.start();
    await waitFor(() => stand.server.now > Date.UTC(2026, 10, 28, 0, 0, 20), "some looks at the lock");
    expect(stand.server.requests).toEqual([]);
    stand.keeper.start();
    await stand.change(0);
    await stand.keeper.stop();
    await waitFor(() => waiting.current !== undefined, "the certificate of the other one");
    isLocked = false;
    expect(stand.changes).toHaveLength(1);
    expect(stand.server.orders).toHaveLength(1);
  });

  test("is ordered by the next process within seconds when the one before leaves in the middle of its order", async () => {
    await using stand = await openKeeper();
    const { server, keeper, files } = stand;
    // What the order of the process before has written, and its lock.
    await files.prepare();
    await files.writeAttempts({ failures: 1, notBefore: server.now + HOUR, askedUntil: 0 });
    const began = server.now;
    let usedAt = Infinity;
    let looks = 0;
    const next = stand.another({
      lock: () => {
        looks += 1;
        return looks <= 3 ? undefined : () => {};
      },
      // The process before gives its order up.
      wait: async (ms, signal) => {
        if (looks === 3) await files.writeAttempts({ failures: 0, notBefore: 0, askedUntil: 0 });
        await server.wait(ms, signal);
      },
      use: () => {
        usedAt = Math.min(usedAt, server.now);
        return undefined;
      },
    });
    next.start();
    await waitFor(() => next.current !== undefined, "its certificate");
    expect(usedAt - began).toBeLessThan(10_000);
    await next.stop();
    expect(keeper.current).toBeUndefined();
  });

  test("does not count an order that was given up, because the process leaves", async () => {
    await using stand = await openKeeper();
    const { server, keeper } = stand;
    server.intercept = on("/order", () => {
      void keeper.stop();
      return { body: { status: "pending", authorizations: [], finalize: "/finalize" } };
    });
    keeper.start();
    await waitFor(() => keeper.status.nextAt === undefined, "the end");
    await waitFor(async () => (await stand.files.readAttempts()).failures === 0, "no failure");
    expect(stand.changes).toEqual([]);
    expect(stand.proofs).toEqual([]);
  });
});
