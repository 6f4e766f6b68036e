import { describe, expect, test } from "bun:test";
import { mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { runCli } from "../../src/cli/run-cli.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { needs } from "../support/needs.ts";
import { expectProgram, runProgram } from "../support/program.ts";
import { makeFolder } from "../support/temporary-folder.ts";

/** A folder with an authority of ours, a home, and the root of an image. */
async function makeStand() {
  const folder = await makeFolder({ "root/etc/ca-certificates.conf": "" });
  const path = join(folder.path, "root");
  for (const name of ["usr/local/share/ca-certificates", "usr/share/ca-certificates", "etc/ssl/certs"])
    await mkdir(join(path, name), { recursive: true });
  const run = async (argv: string[], answers: string[] = []) => {
    const variables = { HOME: folder.path, PATH: process.env["PATH"] };
    const io = createFakeIo({ folder: folder.path, variables, answers, interactive: answers.length > 0 });
    return { code: await runCli(argv, io), printed: io.printed(), told: io.told.join("\n") };
  };
  expect((await run(["cert", "proxy.test"])).code).toBe(0);
  // update-ca-certificates of Debian leaves the bundle as it is when no authority is left at all.
  expect((await run(["cert", "other.test", "--folder", "other"])).code).toBe(0);
  await folder.write({ "root/usr/local/share/ca-certificates/other.crt": await folder.read("other/ca.pem") });
  const listed = async () =>
    (await readdir(join(path, "usr/local/share/ca-certificates"))).filter((name) => name !== "other.crt");
  return { folder, run, listed, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

const system = ["trust", "--root", "root"];

describe("penstock trust", () => {
  needs("update-ca-certificates", "openssl")("has the system trust the authority, once, and takes it out", async () => {
    await using stand = await makeStand();
    const { folder, run, listed } = stand;
    const verify = () =>
      runProgram(["openssl", "verify", "-CAfile", "root/etc/ssl/certs/ca-certificates.crt", "fullchain.pem"], {
        cwd: folder.path,
      });
    const dry = await run([...system, "--dry-run"]);
    expect(dry.printed).toMatch(/would write .*penstock-[0-9a-f]{16}\.crt\n.*would run .*update-ca-certificates/);
    expect(await listed()).toEqual([]);
    for (const _ of ["first", "again"]) {
      expect((await run(system)).code).toBe(0);
      expect(await listed()).toHaveLength(1);
      expect((await verify()).code).toBe(0);
    }
    expect((await run([...system, "--remove"])).code).toBe(0);
    expect(await listed()).toEqual([]);
    expect((await verify()).code).not.toBe(0);
    expect((await run([...system, "--remove"])).printed).toBe("system (Debian): nothing to do\n");
  });

  needs("certutil")("has a browser trust the authority, once, and takes it out", async () => {
    await using stand = await makeStand();
    const { folder, run } = stand;
    const database = join(folder.path, ".pki/nssdb");
    await mkdir(database, { recursive: true });
    const list = () => expectProgram(["certutil", "-L", "-d", `sql:${database}`]);
    const browsers = ["trust", "--store", "browsers"];
    await expectProgram(["certutil", "-N", "-d", `sql:${database}`, "--empty-password"]);
    expect((await run(browsers)).code).toBe(0);
    expect(await list()).toMatch(/penstock-[0-9a-f]{16} +C,,/);
    expect((await run(browsers)).printed).toContain("nothing to do");
    expect((await run([...browsers, "--remove"])).code).toBe(0);
    expect(await list()).not.toContain("penstock-");
  });

  needs("certutil")(
    "makes the database of Chromium where none ever ran, and takes only the authority out",
    async () => {
      await using stand = await makeStand();
      const { folder, run } = stand;
      const database = join(folder.path, ".pki/nssdb");
      const browsers = ["trust", "--store", "browsers"];
      expect(await run([...browsers, "--remove"])).toMatchObject({
        code: 0,
        told: expect.stringContaining("There is no database of a browser in"),
      });
      const dry = await run([...browsers, "--dry-run"]);
      expect(dry.printed).toContain(`would make ${database}\n`);
      expect(await readdir(folder.path)).not.toContain(".pki");
      const made = await run(browsers);
      expect(made).toMatchObject({ code: 0, told: "" });
      expect(made.printed).toContain(`browser (${database}): make ${database}: done\n`);
      expect(((await stat(database)).mode & 0o777).toString(8)).toBe("700");
      // With an empty password, as that of Chromium: another program adds to it without a question.
      await expectProgram(
        ["certutil", "-A", "-d", `sql:${database}`, "-n", "mine", "-t", "C,,", "-i", "other/ca.pem"],
        {
          cwd: folder.path,
        },
      );
      const list = () => expectProgram(["certutil", "-L", "-d", `sql:${database}`]);
      expect(await list()).toMatch(/penstock-[0-9a-f]{16} +C,,/);
      expect((await run([...browsers, "--remove"])).code).toBe(0);
      expect(await list()).not.toContain("penstock-");
      expect(await list()).toContain("mine");
    },
  );

  needs("certutil")("makes no second database where Chromium has a newer one", async () => {
    await using stand = await makeStand();
    const { folder, run } = stand;
    const database = join(folder.path, ".local/share/pki/nssdb");
    await mkdir(database, { recursive: true });
    await expectProgram(["certutil", "-N", "-d", `sql:${database}`, "--empty-password"]);
    expect((await run(["trust", "--store", "browsers"])).code).toBe(0);
    expect(await expectProgram(["certutil", "-L", "-d", `sql:${database}`])).toContain("penstock-");
    expect(await readdir(folder.path)).not.toContain(".pki");
  });

  test("asks before it trusts what it has not made, and never trusts a server", async () => {
    await using stand = await makeStand();
    const { folder, run, listed } = stand;
    const server = await run([...system, "fullchain.pem"]);
    expect(server).toMatchObject({ code: 1, told: expect.stringContaining("it is not one certificate") });
    const [leaf = ""] = (await folder.read("fullchain.pem")).split(/(?<=-----END CERTIFICATE-----)/);
    await folder.write({ "leaf.pem": leaf });
    expect((await run([...system, "leaf.pem"])).told).toContain("the certificate of a server, not of an authority");
    await expectProgram(
      [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=Somebody",
        "-keyout",
        "k",
        "-out",
        "other.pem",
      ],
      { cwd: folder.path },
    );
    const silent = await run([...system, "other.pem"]);
    expect(silent).toMatchObject({ code: 1, told: expect.stringContaining("Add --yes to trust it without asking.") });
    const refused = await run([...system, "other.pem"], ["n"]);
    expect(refused).toMatchObject({ code: 1, told: expect.stringContaining("CN=Somebody") });
    expect(await listed()).toEqual([]);
  });

  test("says where there is no store that it knows", async () => {
    await using folder = await makeFolder();
    const io = createFakeIo({ folder: folder.path });
    await runCli(["cert", "a.test"], io);
    expect(await runCli(["trust", "--root", "."], io)).toBe(1);
    expect(io.told.at(-1)).toContain("Did nothing to the store system: there is none of");
  });
});
