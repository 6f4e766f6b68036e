import { expect, test } from "bun:test";
import { runCli } from "../../../src/cli/run-cli.ts";
import { createFakeIo } from "../../support/fake-io.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

const EXECUTABLE = "/usr/local/bin/penstock";

test("penstock service prints a unit that runs this file with that configuration", async () => {
  const io = createFakeIo({ folder: "/srv" });
  expect(await runCli(["service", "--config", "p.json", "--executable", "/opt/penstock"], io)).toBe(0);
  expect(io.printed()).toContain("\nExecStart=/opt/penstock serve --config /srv/p.json\n");
  expect(io.printed()).toContain("\nType=notify\n");
  expect(io.printed()).not.toMatch(/^MemoryDenyWriteExecute/m);
  // Programs that every system has: /bin/kill is in a package of its own.
  const programs = Array.from(io.printed().matchAll(/^Exec\w+=(\S+)/gm), ([, program]) => program);
  expect(programs).toEqual(["/opt/penstock", "/bin/sh"]);
});

test("penstock service --install writes the unit, and replaces another one only with --force", async () => {
  await using folder = await makeFolder({ "other.service": "mine" });
  const install = async (...rest: string[]) => {
    const io = createFakeIo({ folder: folder.path });
    return { code: await runCli(["service", "--executable", EXECUTABLE, "--install", ...rest], io), told: io.told };
  };
  const path = `${folder.path}/penstock.service`;
  expect(await install("-o", "penstock.service")).toEqual({
    code: 0,
    told: [`Wrote ${path}. Now run: systemctl daemon-reload && systemctl enable --now penstock`],
  });
  expect(await folder.read("penstock.service")).toStartWith('# Written by "penstock service".');
  expect((await install("-o", "penstock.service")).code).toBe(0);
  expect((await install("-o", "other.service")).code).toBe(1);
  expect(await folder.read("other.service")).toBe("mine");
  expect((await install("-o", "other.service", "--force")).code).toBe(0);
  expect(await folder.read("other.service")).toContain("[Service]");
  expect((await install("-o", "missing/penstock.service")).told[0]).toContain("there is no such folder");
});

test("penstock service refuses paths that mean something else in a unit", async () => {
  const io = createFakeIo();
  expect(await runCli(["service", "--executable", EXECUTABLE, "--config", "/etc/a b.json"], io)).toBe(2);
  expect(io.told[0]).toContain('Cannot write "/etc/a b.json" into a unit');
});

test("penstock service --user runs as a user that is there", async () => {
  const io = createFakeIo();
  expect(await runCli(["service", "--executable", EXECUTABLE, "--user", "penstock"], io)).toBe(0);
  expect(io.printed()).toContain("\nUser=penstock\n");
  expect(io.printed()).not.toContain("DynamicUser");
  for (const user of ["root\nExecStartPre=/bin/sh", "a b", "%u", "-x"])
    expect(await runCli(["service", "--executable", EXECUTABLE, `--user=${user}`], createFakeIo())).toBe(2);
});

test("penstock service refuses files that its unit hides from the service", async () => {
  for (const args of [
    ["--executable", "/root/penstock"],
    ["--executable", "/home/ann/bin/penstock"],
    ["--executable", EXECUTABLE, "--config", "/tmp/proxy.config.json"],
    ["--executable", EXECUTABLE, "--config", "/var/tmp/proxy.config.json"],
  ]) {
    const io = createFakeIo({ folder: "/srv" });
    expect(await runCli(["service", ...args], io)).toBe(2);
    expect(io.told).toEqual([
      `The service could not use ${args.at(-1)}: the unit hides home folders and the temporary folders from it. Put the executable into /usr/local/bin and the configuration into /etc/penstock, or name other paths with --executable and --config.`,
    ]);
    expect(io.printed()).toBe("");
  }
  for (const path of ["/homes/penstock", "/opt/root/penstock", "/srv/tmp/penstock"])
    expect(await runCli(["service", "--executable", path], createFakeIo())).toBe(0);
});
