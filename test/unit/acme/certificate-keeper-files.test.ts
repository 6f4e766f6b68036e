import { describe, expect, test } from "bun:test";
import { rm, writeFile } from "node:fs/promises";
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

describe("a certificate in its file", () => {
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

  test("is in the same file in whatever order its names are written", async () => {
    await using stand = await openKeeper();
    const { keeper, folder } = stand;
    const locate = (...names: readonly string[]): string =>
      new AcmeFiles(folder.path, { ...keeper.plan, names }).certificate;
    expect(locate("a.example", "b.example")).toBe(locate("b.example", "a.example"));
    expect(locate("a.example", "b.example")).not.toBe(locate("a.example"));
  });

  test("stands in for one with other names: that with most of them, which is valid and ends last", async () => {
    await using stand = await openKeeper();
    const { keeper, folder, server } = stand;
    const at = (...names: readonly string[]): AcmeFiles => new AcmeFiles(folder.path, { ...keeper.plan, names });
    const issue = async (days: number, ...names: readonly string[]): Promise<string> => {
      const files = at(...names);
      await files.prepare();
      server.lifeMs = days * DAY;
      server.names = names;
      const count = stand.changes.length;
      // The names are those of the server: only the file is of interest.
      await rm(stand.files.certificate, { force: true });
      const issuing = stand.another({ files });
      issuing.plan = { ...keeper.plan, names };
      issuing.start();
      expect(await stand.change(count)).toMatchObject({ change: "issued" });
      await issuing.stop();
      return files.certificate;
    };
    const one = await issue(90, "a.example");
    const both = await issue(30, "a.example", "b.example");
    const longer = await issue(60, "a.example", "b.example", "c.example");
    const ordered = at("b.example", "a.example", "d.example");
    const choose = (...ms: readonly number[]) =>
      ms.map((later) => ordered.readOther(["a.example", "b.example", "d.example"], server.now + later)?.file);
    expect(choose(0, 40 * DAY, 70 * DAY, 100 * DAY)).toEqual([longer, longer, one, undefined]);
    expect(ordered.readOther(["z.example"], server.now)).toBeUndefined();
    expect(at("a.example", "b.example").readOther(["a.example"], server.now)?.file).not.toBe(both);
    expect(new AcmeFiles(`${folder.path}/none`, keeper.plan).readOther(["a.example"], server.now)).toBeUndefined();
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
