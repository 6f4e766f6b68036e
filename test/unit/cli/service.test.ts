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
    return {
      code: await runCli(["service", "--install", "--executable", "/usr/bin/penstock", ...rest], io),
      told: io.told,
    };
  };
  const path = `${folder.path}/penstock.service`;
  await folder.write({ "conf/p.json": {} });
  const settled = ["--config", "conf/p.json"];
  expect(await install("-o", "penstock.service", ...settled)).toEqual({
    code: 0,
    told: [
      expect.stringContaining(`Warning: the unit hides /tmp from the service`),
      `Wrote ${path}. Now run: systemctl daemon-reload && systemctl enable --now penstock`,
    ],
  });
  expect(await folder.read("penstock.service")).toStartWith('# Written by "penstock service".');
  expect((await install("-o", "penstock.service", ...settled)).code).toBe(0);
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

test("penstock service --install says what the service would miss: its configuration, its user, files that the unit hides", async () => {
  await using root = await makeFolder({ "etc/passwd": "penstock:x:990:990::/:/bin/false\n" });
  const install = async (...rest: string[]) => {
    const machine = { configFolder: "/etc/penstock", root: root.path, isRoot: true };
    const io = createFakeIo({ folder: root.path, machine });
    expect(await runCli(["service", "--install", "-o", "p.service", "--force", ...rest], io)).toBe(0);
    return io.told.slice(0, -1);
  };
  const fine = ["--executable", "/usr/bin/penstock", "--config", "/etc/hostname"];
  expect(await install(...fine, "--user", "penstock")).toEqual([]);
  expect(await install(...fine, "--user", "proxy")).toEqual([
    'Warning: there is no user proxy in /etc/passwd. Run "useradd --system --user-group proxy".',
  ]);
  expect(await install("--executable", "/root/penstock", "--config", "/etc/hostname")).toEqual([
    'Warning: the unit hides /root from the service, and so /root/penstock. Run "install -m 755 /root/penstock /usr/local/bin/penstock", and name it with --executable /usr/local/bin/penstock.',
  ]);
  expect(await install("--executable", "/usr/bin/penstock", "--config", "/etc/nothing/p.json")).toEqual([
    'Warning: there is no /etc/nothing/p.json yet, and the service starts only with it. "penstock init" writes one to begin with.',
  ]);
  expect(await install("--executable", "/usr/bin/penstock", "--config", "/etc/nothing/proxy.config.yaml")).toEqual([
    'Warning: there is no /etc/nothing/proxy.config.yaml yet, and the service starts only with it. To begin with, run "mkdir -p /etc/nothing && cd /etc/nothing && penstock init --format yaml".',
  ]);
});
