import { afterAll, beforeAll, describe, expect } from "bun:test";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type AptRepository, startAptRepository } from "../support/apt-repository.ts";
import { type ForwardStand, startForwardStand } from "../support/forward-stand.ts";
import { isInstalled, needs } from "../support/needs.ts";
import { type Ran, runProgram } from "../support/program.ts";
import { makeFolder, type TemporaryFolder } from "../support/temporary-folder.ts";

const programs = ["apt-get", "dpkg-deb", "openssl"];
let stack: AsyncDisposableStack;
let stand: ForwardStand;
let repository: AptRepository;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  if (!programs.every(isInstalled)) return;
  repository = stack.use(await startAptRepository(["alpha", "beta", "gamma"]));
  stand = stack.use(await startForwardStand());
});
afterAll(() => stack.disposeAsync());

/** An apt of its own, that knows nothing of the machine's. */
async function makeApt(proxyUrl: string): Promise<TemporaryFolder & { run(...args: string[]): Promise<Ran> }> {
  const folder = await makeFolder({
    "etc/sources.list": `deb [trusted=yes] ${repository.url} ./\n`,
    "state/status": "",
  });
  const lists = ["etc/apt.conf.d", "etc/preferences.d", "etc/sources.list.d", "etc/trusted.gpg.d", "down"];
  const work = ["state/lists/partial", "cache/archives/partial", "log"];
  for (const name of [...lists, ...work]) await mkdir(join(folder.path, name), { recursive: true });
  await folder.write({
    "apt.conf": [
      `Dir "${folder.path}";`,
      `Dir::Etc "etc";`,
      `Dir::State "state";`,
      `Dir::State::status "${folder.path}/state/status";`,
      `Dir::Cache "cache";`,
      `Dir::Log "log";`,
      // Nobody else could write here.
      `APT::Sandbox::User "root";`,
      `Acquire::Languages "none";`,
      `Acquire::Retries "0";`,
      `Acquire::http::Proxy "${proxyUrl}";`,
      `Acquire::https::CaInfo "${stand.origins.caFile}";`,
    ].join("\n"),
  });
  const env = { APT_CONFIG: join(folder.path, "apt.conf"), HOME: folder.path };
  return {
    ...folder,
    run: (...args) => runProgram(["apt-get", ...args], { cwd: join(folder.path, "down"), env }),
  };
}

/** What apt asks for: InRelease, Release and its signature, and the index; again, as nothing has changed; three packages. */
const exchanges: unknown[][] = [404, 200, 404, 200, 404, 304, 404, 200, 200, 200].map((status) => [
  "GET",
  "http",
  status,
]);
const tunnels: unknown[][] = Array.from({ length: 3 }, () => ["tunnel", 200]);

describe("apt-get", () => {
  const cases = [
    { scheme: "http", user: "direct" },
    { scheme: "http", user: "chained" },
    { scheme: "https", user: "direct" },
    { scheme: "socks5h", user: "direct" },
  ] as const;

  for (const { scheme, user } of cases)
    needs(...programs)(`updates and downloads through ${scheme}://, ${user}`, async () => {
      const before = stand.proxy.records.length;
      await using apt = await makeApt(stand.proxyUrl(scheme, user));
      const first = await apt.run("update");
      expect(first).toEqual({ code: 0, stdout: expect.stringMatching(/^Get:2 .* Release /m), stderr: "" });
      const second = await apt.run("update");
      expect(second).toEqual({ code: 0, stdout: expect.stringMatching(/^Hit:2 .* Release$/m), stderr: "" });
      const down = await apt.run("download", ...repository.packages);
      expect(down).toMatchObject({ code: 0, stderr: "" });
      const files = (await readdir(join(apt.path, "down"))).sort();
      expect(files).toHaveLength(repository.packages.length);
      for (const [at, name] of repository.packages.entries()) {
        const got = await Bun.file(join(apt.path, "down", files[at] ?? "")).bytes();
        expect(got).toEqual(repository.read(name));
      }

      const target = `127.0.0.1:${repository.port}`;
      const route = user === "chained" ? "next" : "direct";
      // Each run of apt makes one connection.
      const records = await stand.recordsSince(before, scheme === "socks5h" ? 3 : exchanges.length);
      expect(new Set(records.map(({ client }) => client)).size).toBe(3);
      const protocol = scheme === "socks5h" ? "socks5" : "http";
      for (const record of records) expect(record).toMatchObject({ protocol, user, target, route });
      if (scheme === "socks5h") expect(records.map(({ stage, status }) => [stage, status])).toEqual(tunnels);
      else expect(records.map(({ method, scheme: of, status }) => [method, of, status])).toEqual(exchanges);
    });

  needs(...programs)("is told that it needs credentials, and gets nothing", async () => {
    const before = stand.proxy.records.length;
    await using apt = await makeApt(`http://127.0.0.1:${stand.proxy.port}`);
    const ran = await apt.run("update");
    expect(ran).toMatchObject({ code: 100, stderr: expect.stringContaining("407  Proxy Authentication Required") });
    expect((await apt.run("download", "alpha")).code).toBe(100);
    const [record] = await stand.recordsSince(before, 1);
    expect(record).toMatchObject({ method: "GET", status: 407, detail: "credentials_required", stage: "authenticate" });
  });
});
