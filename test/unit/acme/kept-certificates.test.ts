import { describe, expect, test } from "bun:test";
import { rm, stat, symlink } from "node:fs/promises";
import { dirname } from "node:path";
import { AcmeFiles } from "../../../src/acme/acme-files.ts";
import { RenewalSchedule } from "../../../src/acme/renewal-schedule.ts";
import { openKeeper } from "../../support/keeper-stand.ts";
import { waitFor } from "../../support/wait-for.ts";

const DAY = 24 * 3_600_000;

describe("a certificate in the folder of the state", () => {
  test("is written again when its file was removed, and not ordered again", async () => {
    await using stand = await openKeeper();
    const { keeper, server, files } = stand;
    keeper.start();
    await stand.change(0);
    const before = files.readCertificate();
    await rm(dirname(files.certificate), { recursive: true });
    server.jumpMs = 30_000;
    server.stopped = false;
    await waitFor(() => files.readCertificate() !== undefined, "the file");
    expect(files.readCertificate()).toEqual(before);
    expect((await stat(files.certificate)).mode & 0o777).toBe(0o600);
    expect(server.orders).toHaveLength(1);
  });

  test("is told of once, and no longer, when the folder of the state cannot be used for a while", async () => {
    await using stand = await openKeeper();
    const { keeper, server, files } = stand;
    keeper.start();
    await stand.change(0);
    const attempts = files.certificate.replace(/\.pem$/, ".attempts.json");
    await rm(attempts);
    await symlink(attempts, attempts);
    server.jumpMs = 30_000;
    server.stopped = false;
    await waitFor(() => keeper.status.problem !== undefined, "the problem");
    expect(keeper.status.problem).toContain(`cannot be used: ELOOP (${attempts})`);
    const seen = server.now;
    await waitFor(() => server.now > seen + 300_000, "more looks");
    expect(stand.told.filter((message) => message.includes("ELOOP"))).toHaveLength(1);
    expect(stand.told.at(-1)).toMatch(/The one before stays in use until .* UTC\.$/);
    await rm(attempts);
    await waitFor(() => keeper.status.problem === undefined, "the end of the problem");
  });

  test("says so where another one is in use until it is there", async () => {
    await using stand = await openKeeper();
    const keeper = stand.another({ isServed: () => true });
    stand.server.intercept = () => "away";
    keeper.start();
    await stand.change(0);
    expect(stand.told.at(-1)).toContain("ECONNREFUSED. Another certificate is in use meanwhile. The next attempt");
    expect(keeper.status).toMatchObject({ isServed: true, expiresAt: undefined });
  });

  test("is asked about again when the clock was years ahead for a while", async () => {
    await using stand = await openKeeper();
    const { keeper, server, files } = stand;
    server.window = ({ from, to }) => ({
      suggestedWindow: { start: new Date(from).toISOString(), end: new Date(to).toISOString() },
    });
    keeper.start();
    await stand.change(0);
    await keeper.stop();
    const kept = files.readCertificate();
    if (kept === undefined) throw new Error("No certificate");
    let now = kept.from + DAY;
    const schedule = new RenewalSchedule({ now: () => now, random: () => 0.5, tell: () => {} });
    schedule.begin(kept, kept.from);
    const { signal } = new AbortController();
    const ask = () =>
      schedule.ask(
        { directory: server.directory, exchange: server.exchange, now: () => now, wait: Bun.sleep, signal },
        "names",
      );
    const count = (): number => server.requests.filter(({ path }) => path.startsWith("/renewal/")).length;
    const before = count();
    now += 5 * 365 * DAY;
    await ask();
    expect(count()).toBe(before + 1);
    now -= 5 * 365 * DAY;
    await ask();
    expect(count()).toBe(before + 2);
    await ask();
    expect(count()).toBe(before + 2);
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
});
