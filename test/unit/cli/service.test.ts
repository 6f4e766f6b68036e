import { expect, test } from "bun:test";
import { runCli } from "../../../src/cli/run-cli.ts";
import { createFakeIo } from "../../support/fake-io.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

test("penstock service prints a unit that runs this file with that configuration", async () => {
  const io = createFakeIo({ folder: "/srv" });
  expect(await runCli(["service", "--config", "p.json", "--executable", "/opt/penstock"], io)).toBe(0);
  expect(io.printed()).toContain("\nExecStart=/opt/penstock serve --config /srv/p.json\n");
  expect(io.printed()).toContain("\nType=notify\n");
  expect(io.printed()).not.toMatch(/^MemoryDenyWriteExecute/m);
});

test("penstock service --install writes the unit, and replaces another one only with --force", async () => {
  await using folder = await makeFolder({ "other.service": "mine" });
  const install = async (...rest: string[]) => {
    const io = createFakeIo({ folder: folder.path });
    return { code: await runCli(["service", "--install", ...rest], io), told: io.told };
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
  expect(await runCli(["service", "--config", "/etc/a b.json"], io)).toBe(2);
  expect(io.told[0]).toContain('Cannot write "/etc/a b.json" into a unit');
});

test("penstock service --user runs as a user that is there", async () => {
  const io = createFakeIo();
  expect(await runCli(["service", "--user", "penstock"], io)).toBe(0);
  expect(io.printed()).toContain("\nUser=penstock\n");
  expect(io.printed()).not.toContain("DynamicUser");
  for (const user of ["root\nExecStartPre=/bin/sh", "a b", "%u", "-x"])
    expect(await runCli(["service", `--user=${user}`], createFakeIo())).toBe(2);
});
