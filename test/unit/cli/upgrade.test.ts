import { describe, expect, test } from "bun:test";
import { chmod, readdir } from "node:fs/promises";
import { findRunning } from "../../../src/cli/upgrade-handover.ts";
import { runCli } from "../../../src/cli/run-cli.ts";
import { isCompiled } from "../../../src/cli/start-successor.ts";
import { takeFolderLock } from "../../../src/net/libc/file-lock.ts";
import { createFakeIo } from "../../support/fake-io.ts";
import { makeFolder, type TemporaryFolder } from "../../support/temporary-folder.ts";

const executable = ["--executable", "penstock"];
const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII6otG7V5U7IBY4mv6hHJrGnw3aL8dooBFSErkiTax0E ops\n";

/** The head of an executable for Linux. */
function makeHead(machine: number): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.write("\x7fELF\x02\x01", "latin1");
  bytes.writeUInt16LE(machine, 18);
  return bytes;
}

async function makeStand(): Promise<TemporaryFolder> {
  const folder = await makeFolder({ "key.pub": key, new: "a new version" });
  await Bun.write(`${folder.path}/penstock`, makeHead(62));
  await Bun.write(`${folder.path}/arm`, makeHead(183));
  await Bun.write(`${folder.path}/broken`, Buffer.concat([makeHead(62), Buffer.from("more")]));
  return folder;
}

describe("penstock upgrade changes nothing and says why", () => {
  test.each([
    [2, ["--key", "key.pub"], "Missing --from FILE or URL: what to upgrade to. There is no default."],
    [2, ["--from", "new"], "Missing --key FILE: the public key that the file must be signed with."],
    [2, ["--from", "new", "--key", "none.pub"], "none.pub: there is no such file or folder."],
    [2, ["--from", "new", "--key", "new"], "line 1 is neither a public key of minisign"],
    [2, ["--from", "new", "--key", "key.pub", "--insecure-unsigned"], "Leave out --key and --signature, or it."],
    [2, ["--from", "http://127.0.0.1:1/new", "--key", "key.pub"], "nor a URL with https://."],
    [2, ["--from", "ftp://127.0.0.1:1/new", "--key", "key.pub"], "nor a URL with https://."],
    [2, ["--from", "new", "--key", "key.pub", "--signature", "http://127.0.0.1:1/"], "--signature is neither"],
    [2, ["--from", "new", "--rollback"], "--from is for another one."],
    [2, ["--from", "new", "--key", "key.pub", "--sha256", "abc"], "Cannot read --sha256"],
    [2, ["--from", "new", "--key", "key.pub", "--sha256", "new"], "nor a file of checksums with a line for new."],
    [1, ["--from", "new", "--key", "key.pub", "--sha256", "0".repeat(64)], `Wanted is ${"0".repeat(64)}.`],
    [1, ["--from", "new", "--key", "key.pub"], "There is no signature: Cannot read"],
    [1, ["--from", "new", "--key", "key.pub", "--signature", "key.pub"], "is of neither minisign nor ssh-keygen."],
    [1, ["--from", "none", "--key", "key.pub"], "none: there is no such file or folder."],
    [1, ["--from", ".", "--key", "key.pub"], "is not a regular file."],
    [1, ["--from", "/dev/zero", "--key", "key.pub"], "/dev/zero is not a regular file."],
    [
      1,
      ["--from", "https://127.0.0.1:1/new?token=s3cret", "--key", "key.pub"],
      "https://127.0.0.1:1/new cannot be reached",
    ],
    [1, ["--from", "new", "--insecure-unsigned"], "not an executable of a platform that Penstock runs on"],
    [1, ["--from", "arm", "--insecure-unsigned"], "The executable is for linux-arm64."],
    [1, ["--from", "broken", "--insecure-unsigned"], "The executable does not start:"],
    [1, ["--rollback"], "penstock.previous: there is no such file or folder."],
  ])("exit code %d: %j", async (code, args, message) => {
    await using folder = await makeStand();
    const io = createFakeIo({ folder: folder.path });
    expect(await runCli(["upgrade", ...executable, ...args], io)).toBe(code);
    expect(io.told.join("\n")).toContain(message);
    expect(io.told.join("\n")).not.toContain("s3cret");
    expect((await readdir(folder.path)).toSorted()).toEqual(["arm", "broken", "key.pub", "new", "penstock"]);
    expect(await Bun.file(`${folder.path}/penstock`).bytes()).toEqual(new Uint8Array(makeHead(62)));
  });

  test("for a program, as one JSON object", async () => {
    await using folder = await makeStand();
    const io = createFakeIo({ folder: folder.path });
    expect(await runCli(["upgrade", ...executable, "--from", "arm", "--insecure-unsigned", "--json"], io)).toBe(1);
    expect(JSON.parse(io.printed())).toEqual({
      ok: false,
      step: "platform",
      message: `The executable is for linux-arm64. ${folder.path}/penstock is for linux-x64.`,
      details: [],
    });
    expect(io.told).toEqual([]);
  });

  test.if(process.platform === "linux")("while another upgrade is under way in the same folder", async () => {
    await using folder = await makeStand();
    const args = ["upgrade", ...executable, "--from", "arm", "--insecure-unsigned", "--json"];
    const release = takeFolderLock(folder.path);
    const io = createFakeIo({ folder: folder.path });
    expect(await runCli(args, io)).toBe(1);
    expect(JSON.parse(io.printed())).toMatchObject({
      step: "replace",
      message: `Another upgrade in ${folder.path} is under way. Try again when it is over.`,
    });
    release?.();
    const again = createFakeIo({ folder: folder.path });
    expect(await runCli(args, again)).toBe(1);
    expect(JSON.parse(again.printed())).toMatchObject({ step: "platform" });
    // The turn is given back after a refusal.
    const free = takeFolderLock(folder.path);
    expect(free).toBeDefined();
    free?.();
  });

  test("where it runs from its source and no file is named", async () => {
    const io = createFakeIo();
    expect(await runCli(["upgrade", "--from", "new"], io)).toBe(2);
    expect(io.told[0]).toContain("Name the file to replace with --executable PATH.");
  });

  test("for a key that everybody may change", async () => {
    await using folder = await makeStand();
    await Bun.$`chmod o+w ${folder.path}/key.pub`.quiet();
    const io = createFakeIo({ folder: folder.path });
    expect(await runCli(["upgrade", ...executable, "--from", "new", "--key", "key.pub"], io)).toBe(2);
    expect(io.told.at(-1)).toBe(
      `Everybody may write to the key ${folder.path}/key.pub. Run: chmod o-w ${folder.path}/key.pub`,
    );
  });
});

describe("what the new version accepts", () => {
  const script = (version: string): string => `#!/bin/sh\n[ "$1" = check ] || echo "penstock ${version} (a script)"\n`;

  test("is that of the service where the working folder has none, and is named to it", async () => {
    await using system = await makeFolder({ "proxy.config.json": {} });
    await using folder = await makeFolder({
      penstock: script("0.2.0"),
      // An older version would not look there by itself.
      "penstock.previous": `${script("0.1.0")}[ "$1" = version ] || [ "$3" = ${system.path}/proxy.config.json ]\n`,
    });
    for (const name of ["penstock", "penstock.previous"]) await chmod(`${folder.path}/${name}`, 0o755);
    const machine = { configFolder: system.path, root: "/nonexistent", isRoot: false };
    const io = createFakeIo({ folder: folder.path, machine, variables: { PATH: process.env["PATH"] } });
    expect(await runCli(["upgrade", ...executable, "--rollback", "--dry-run"], io)).toBe(0);
    expect(io.told[0]).toBe(
      `Penstock 0.1.0 starts here and accepts ${system.path}/proxy.config.json. In use is 0.2.0.`,
    );
  });

  async function tryBack(files: Readonly<Record<string, string | object>>, ...args: readonly string[]) {
    await using folder = await makeFolder({
      penstock: script("0.2.0"),
      "penstock.previous": script("0.1.0"),
      ...files,
    });
    const { path } = folder;
    for (const name of ["penstock", "penstock.previous"]) await chmod(`${path}/${name}`, 0o755);
    const io = createFakeIo({ folder: path, variables: { PATH: process.env["PATH"] } });
    expect(await runCli(["upgrade", ...executable, "--rollback", "--dry-run", ...args], io)).toBe(0);
    return { path, told: io.told, printed: io.printed() };
  }

  test("is the configuration that is there", async () => {
    const here = await tryBack({ "proxy.config.json": {} });
    expect(here.told[0]).toBe(
      `Penstock 0.1.0 starts here and accepts ${here.path}/proxy.config.json. In use is 0.2.0.`,
    );
    const { path, printed } = await tryBack({ "mine.json": {} }, "--config", "mine.json", "--json");
    expect(JSON.parse(printed)).toMatchObject({ ok: true, configuration: `${path}/mine.json` });
  });

  test("is asked of nobody where the present version would take no configuration", async () => {
    await using folder = await makeFolder({
      penstock: script("0.2.0"),
      "penstock.previous": `${script("0.1.0")}[ "$1" = version ] || touch tried\n`,
      "proxy.config.json": {},
      "proxy.config.yaml": "{}",
    });
    for (const name of ["penstock", "penstock.previous"]) await chmod(`${folder.path}/${name}`, 0o755);
    const io = createFakeIo({ folder: folder.path, variables: { PATH: process.env["PATH"] } });
    expect(await runCli(["upgrade", ...executable, "--rollback", "--replace-only"], io)).toBe(78);
    expect(io.told).toEqual([
      "Cannot use the configuration.",
      `  Found proxy.config.json and proxy.config.yaml in ${folder.path}. Keep one of them, or choose with --config.`,
    ]);
    expect(await Bun.file(`${folder.path}/tried`).exists()).toBe(false);
  });

  test("is the defaults where no configuration was found", async () => {
    const { told } = await tryBack({});
    expect(told[0]).toBe(
      "Penstock 0.1.0 starts here and accepts the defaults (no configuration was found here). In use is 0.2.0.",
    );
    const { printed } = await tryBack({}, "--json");
    expect(JSON.parse(printed)).toMatchObject({ ok: true, configuration: null });
  });
});

test.each(["darwin", "win32"] as const)("on %s no proxy is asked to hand over: it would refuse", async (platform) => {
  await using folder = await makeFolder({ "proxy.config.json": { sidecar: { unix: "s.sock", token: "t0ken" } } });
  const input = {
    io: createFakeIo({ folder: folder.path }),
    value: () => undefined,
    has: () => false,
    values: () => [],
  };
  expect(await findRunning(input, platform)).toEqual({
    ok: true,
    value: { access: undefined, why: "Only Linux hands over: restart the proxy to have it run the new file." },
  });
  expect(await findRunning(input, "linux")).toMatchObject({ ok: true, value: { access: { token: "t0ken" } } });
});

test.each([
  ["/$bunfs/root/penstock", true],
  ["B:\\~BUN\\root\\penstock.exe", true],
  ["B:/~BUN/root/penstock.exe", true],
  ["/srv/penstock/src/main.ts", false],
])("a script at %s is part of an executable: %p", (script, is) => {
  expect(isCompiled(["bun", script])).toBe(is);
});
