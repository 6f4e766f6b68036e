import { describe, expect, test } from "bun:test";
import { chmod, chown, mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { readAccessList } from "../../../src/cli/file-access.ts";
import { runCli } from "../../../src/cli/run-cli.ts";
import { readServiceUnit } from "../../../src/cli/service-unit.ts";
import { createFakeIo } from "../../support/fake-io.ts";
import { makeFolder, type TemporaryFolder } from "../../support/temporary-folder.ts";

const CONFIG = { users: { file: "users.htpasswd" }, sidecar: { port: 9080, token: { file: "token" } } };
/** Neither root nor whoever runs the tests. */
const UID = 47_110;

interface Stand extends AsyncDisposable {
  readonly folder: TemporaryFolder;
  readonly config: string;
  /** Runs `check` as root does. */
  check(...argv: string[]): Promise<{ code: number; told: string; report: Report }>;
}

interface Report {
  readonly valid: boolean;
  readonly judgedFor?: string;
  readonly problems: readonly { readonly setting: string; readonly message: string; readonly line?: number }[];
}

/** A machine with the account penstock, a group that may read keys, and the configuration in a folder like /etc/penstock. */
async function makeStand(config: object = CONFIG, unit?: string): Promise<Stand> {
  const folder = await makeFolder({
    "conf/proxy.config.json": JSON.stringify(config, undefined, 2),
    "conf/users.htpasswd": "alice:$2y$04$l0sLmLBoN1n3GFhXRfJVZeJ2gPMjqN2.4qzTnMTeYnRrlnKtTgPNK\n",
    "conf/token": "0123456789abcdef0123456789abcdef\n",
    "etc/passwd": `root:x:0:0:root:/root:/bin/sh\npenstock:x:${UID}:${UID}::/var/lib/penstock:/bin/false\n`,
    "etc/group": `root:x:0:\npenstock:x:${UID}:\nkeys:x:${UID + 1}:other,penstock\n`,
  });
  const conf = join(folder.path, "conf");
  const file = join(conf, "proxy.config.json");
  if (unit !== undefined)
    await folder.write({
      "lib/systemd/system/penstock.service": unit.replaceAll("CONFIG", file).replaceAll("ROOT", folder.path),
    });
  const machine = { configFolder: conf, root: folder.path, isRoot: true };
  const run = async (argv: string[]) => {
    const io = createFakeIo({ folder: conf, machine });
    return { code: await runCli(["check", ...argv], io), told: io.told.join("\n"), printed: io.printed() };
  };
  return {
    folder,
    config: file,
    async check(...argv) {
      const { code, told } = await run(argv);
      return { code, told, report: JSON.parse((await run([...argv, "--json"])).printed) as Report };
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

const UNIT = "[Service]\nUser=penstock\nExecStart=/usr/bin/penstock serve --config CONFIG\n";

describe("check as root", () => {
  test("says which files the user of the service cannot read, with setting, place and command", async () => {
    await using stand = await makeStand(CONFIG, UNIT);
    const { folder, check } = stand;
    const unit = `${folder.path}/lib/systemd/system/penstock.service`;
    const good = await check();
    expect(good).toMatchObject({ code: 0, report: { valid: true, judgedFor: "penstock", problems: [] } });
    expect(good.told).toContain(`penstock, as whom ${unit} runs the service, can read its files.`);

    const users = `${folder.path}/conf/users.htpasswd`;
    await chmod(users, 0o600);
    await chmod(`${folder.path}/conf/token`, 0o640);
    const { code, told, report } = await check();
    expect(code).toBe(78);
    expect(report.problems.map(({ setting, line }) => [setting, line])).toEqual([
      ["users.file", 3],
      ["sidecar.token.file", 8],
    ]);
    expect(told).toContain(`users.file: The service runs as penstock, who cannot read ${users} (mode 0600, of `);
    expect(told).toContain(`Run "chgrp penstock ${users} && chmod g+r ${users}".`);
    await folder.write({
      "etc/systemd/system/penstock.service.d/all.conf":
        "[Service]\nAmbientCapabilities=CAP_NET_RAW CAP_DAC_READ_SEARCH\n",
    });
    expect((await check()).code).toBe(0);
  });

  test("says so of the configuration itself, and of a folder on the way", async () => {
    await using stand = await makeStand(CONFIG, UNIT);
    const { folder, config, check } = stand;
    await chmod(config, 0o600);
    expect((await check()).report.problems).toMatchObject([
      { setting: "", message: expect.stringContaining(`cannot read ${config} (mode 0600`) },
    ]);
    await chmod(`${folder.path}/conf`, 0o700);
    const { report } = await check();
    expect(report.problems).toHaveLength(3);
    for (const { message } of report.problems)
      expect(message).toContain(`(the folder ${folder.path}/conf has mode 0700, `);
    expect(report.problems[0]?.message).toEndWith(
      `Run "chgrp penstock ${folder.path}/conf && chmod g+x ${folder.path}/conf".`,
    );
  });

  test("has a file in somebody else's folder copied, and follows links to it", async () => {
    await using stand = await makeStand(CONFIG, UNIT);
    const { folder, check } = stand;
    await mkdir(`${folder.path}/private`, { mode: 0o700 });
    await folder.write({ "private/users": "" });
    await Bun.file(`${folder.path}/conf/users.htpasswd`).delete();
    await symlink("../private/users", `${folder.path}/conf/users.htpasswd`);
    const { problems } = (await check()).report;
    expect(problems.map(({ message }) => message)).toEqual([
      expect.stringMatching(
        /cannot read .*\/conf\/users\.htpasswd \(the folder .*\/private has mode 0700, .*\. Run "install -D -m 640 -g penstock /,
      ),
    ]);
  });

  test("knows groups of the user and of the unit", async () => {
    const isRoot = process.geteuid?.() === 0;
    // Only root may give a file away: others look at a group of their own.
    const gid = isRoot ? UID + 1 : (process.getgid?.() ?? 0);
    await using stand = await makeStand(CONFIG, UNIT);
    const { folder, check } = stand;
    await folder.write({ "etc/group": `penstock:x:${UID}:\nkeys:x:${gid}:other,penstock\n` });
    const users = `${folder.path}/conf/users.htpasswd`;
    if (isRoot) await chown(users, 0, gid);
    await chmod(users, 0o640);
    expect((await check()).code).toBe(0);
    await folder.write({ "etc/group": `penstock:x:${UID}:\nkeys:x:${gid}:other\n` });
    expect((await check()).report.problems).toHaveLength(1);
    await folder.write({
      "lib/systemd/system/penstock.service": UNIT.replace("CONFIG", stand.config),
      "etc/systemd/system/penstock.service.d/override.conf": "[Service]\nSupplementaryGroups=keys\n",
    });
    expect((await check()).code).toBe(0);
  });

  test("judges for --as, and for nobody when the file is of no service", async () => {
    await using stand = await makeStand();
    const { folder, check } = stand;
    await chmod(`${folder.path}/conf/token`, 0o600);
    // The folder of the service and its account, without a unit.
    expect((await check()).report).toMatchObject({ valid: false, judgedFor: "penstock" });
    expect((await check("--as", "65533")).report.problems[0]?.message).toMatch(
      /^The user 65533 cannot read .* Run "chown 65533 /,
    );
    expect((await check("--as", "root")).report).toMatchObject({ valid: true, judgedFor: "root" });
    await folder.write({ "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n" });
    expect((await check()).report).toMatchObject({ valid: true });
    await folder.write({ "lib/systemd/system/penstock.service": UNIT.replace("CONFIG", "/elsewhere.json") });
    expect((await check()).report).not.toHaveProperty("judgedFor");
  });

  test("says of a user that is only made for the run how to make one", async () => {
    await using stand = await makeStand(CONFIG, UNIT.replace("User=penstock", "DynamicUser=yes"));
    const { folder, check } = stand;
    await folder.write({ "etc/passwd": "" });
    await chmod(`${folder.path}/conf/token`, 0o600);
    // systemd gives such a service a /tmp of its own, too.
    expect((await check()).report.problems.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(/Run "useradd --system --user-group penstock && /),
    );
  });

  test("knows what the unit hides, and where it forbids to write", async () => {
    await using stand = await makeStand(
      { state: { folder: "/srv/state" } },
      `${UNIT}ProtectSystem=strict\nStateDirectory=penstock\n`,
    );
    const { check, folder } = stand;
    const { problems } = (await check()).report;
    expect(problems.map(({ setting, message }) => `${setting}: ${message}`)).toEqual([
      'state.folder: The service cannot write to /srv/state: its unit makes all other folders read-only (ProtectSystem=strict). Leave out "state.folder" to have /var/lib/penstock, or run "systemctl edit penstock" and write ReadWritePaths=/srv/state under [Service].',
    ]);
    await folder.write({
      "etc/systemd/system/penstock.service.d/a.conf": "[Service]\nReadWritePaths=-/srv\nReadWritePaths=\n",
    });
    expect((await check()).code).toBe(78);
    await folder.write({ "conf/proxy.config.json": { state: { folder: "/var/lib/penstock/state" } } });
    expect((await check()).code).toBe(0);
  });

  test("says that state cannot be kept where the unit hides it, whatever it lets the service write to", async () => {
    await using stand = await makeStand(
      { state: { folder: "/home/penstock/state" } },
      `${UNIT}StateDirectory=penstock\nProtectSystem=strict\nProtectHome=yes\nReadWritePaths=/home/penstock/state\n`,
    );
    expect((await stand.check()).told).toContain(
      'state.folder: The service cannot keep state in /home/penstock/state: its unit hides /home. Leave out "state.folder" to have /var/lib/penstock, or name a folder elsewhere.',
    );
  });

  test("says that state cannot be kept in a folder of somebody else", async () => {
    await using stand = await makeStand({ state: { folder: "state" } }, UNIT);
    const { folder, check } = stand;
    const made = await check();
    expect(made.report.problems.map(({ message }) => message)).toEqual([
      expect.stringContaining(`Run "install -d -m 700 -o penstock ${folder.path}/conf/state".`),
    ]);
    await mkdir(`${folder.path}/conf/state`, { mode: 0o700 });
    expect((await check()).told).toContain(
      `Run "chown -R penstock ${folder.path}/conf/state && chmod 700 ${folder.path}/conf/state".`,
    );
  });
});

test("passwd says at once that the service cannot read the file that root has made for it", async () => {
  await using folder = await makeFolder({ "etc/passwd": `penstock:x:${UID}:${UID}::/:/bin/false\n`, "conf/x": "" });
  const conf = `${folder.path}/conf`;
  const passwd = async (configFolder: string): Promise<string> => {
    const machine = { configFolder, root: folder.path, isRoot: true };
    const io = createFakeIo({ folder: conf, machine, passwords: ["p", "p"] });
    expect(await runCli(["passwd", "--file", "users", "alice"], io)).toBe(0);
    return io.told.join("\n");
  };
  expect(await passwd(conf)).toContain(`Warning: The user penstock cannot read ${conf}/users (mode 0600, `);
  expect(await passwd("/elsewhere")).not.toContain("Warning");
  await chmod(`${conf}/users`, 0o644);
  expect(await passwd(conf)).not.toContain("Warning");
});

test("cert says at once that the service cannot read the key", async () => {
  await using folder = await makeFolder({ "etc/passwd": `penstock:x:${UID}:${UID}::/:/bin/false\n`, "conf/x": "" });
  const conf = `${folder.path}/conf`;
  const io = createFakeIo({ folder: conf, machine: { configFolder: conf, root: folder.path, isRoot: true } });
  expect(await runCli(["cert", "a.test"], io)).toBe(0);
  expect(io.told.at(-1)).toContain(`Warning: The user penstock cannot read ${conf}/privkey.pem (mode 0600, `);
});

test("--as is for root, and for users that are there", async () => {
  const run = async (isRoot: boolean, user: string) => {
    const io = createFakeIo({ machine: { configFolder: "/nonexistent", root: "/nonexistent", isRoot } });
    return [await runCli(["check", "--as", user], io), io.told[0]];
  };
  expect(await run(false, "penstock")).toEqual([
    2,
    "--as looks at files for another user, which only root can. Run it as root.",
  ]);
  expect(await run(true, "nobody-here")).toEqual([
    2,
    '--as is "nobody-here", whom /etc/passwd does not have. Write a name or a number.',
  ]);
});

test("a unit is read with what was added to it, the folder of the administrator first", async () => {
  await using root = await makeFolder({
    "lib/systemd/system/penstock.service":
      "[Unit]\nUser=no\n[Service]\nUser=one\nProtectHome=yes\nExecStart=-/usr/bin/penstock serve \\\n  --config /etc/a.json\n",
    "lib/systemd/system/penstock.service.d/10.conf": "[Service]\nUser=shadowed\n",
    "etc/systemd/system/penstock.service.d/10.conf":
      "[Service]\nUser=two\nGroup=g\nExecStart=\nExecStart=/opt/p serve --config=b.json\n",
    "etc/systemd/system/penstock.service.d/20.conf":
      "# User=three\n[Service]\nPrivateTmp=true\nWorkingDirectory=/srv\n",
  });
  expect(readServiceUnit(root.path)).toMatchObject({
    user: "two",
    group: "g",
    executable: "/opt/p",
    config: "/srv/b.json",
    hidden: ["/home", "/root", "/run/user", "/tmp", "/var/tmp"],
    writable: undefined,
  });
  expect(readServiceUnit("/nonexistent")).toBeUndefined();
});

test("an access list counts as the kernel has it: the named user, then groups, within the mask", () => {
  const list = (...entries: readonly (readonly [tag: number, bits: number, id?: number])[]): Buffer => {
    const bytes = Buffer.alloc(4 + 8 * entries.length);
    bytes.writeUInt32LE(2, 0);
    for (const [at, [tag, bits, id = 0xffffffff]] of entries.entries()) {
      bytes.writeUInt16LE(tag, 4 + 8 * at);
      bytes.writeUInt16LE(bits, 6 + 8 * at);
      bytes.writeUInt32LE(id, 8 + 8 * at);
    }
    return bytes;
  };
  const user = { uid: 5, groups: [50, 51] };
  expect(readAccessList(list([1, 6], [2, 4, 5], [4, 0], [0x10, 7], [0x20, 0]), 0, user)).toBe(4);
  expect(readAccessList(list([1, 6], [2, 6, 5], [4, 0], [0x10, 4], [0x20, 0]), 0, user)).toBe(4);
  expect(readAccessList(list([1, 6], [2, 6, 6], [4, 0], [8, 4, 51], [0x10, 7], [0x20, 0]), 0, user)).toBe(4);
  expect(readAccessList(list([1, 6], [4, 4], [0x10, 7], [0x20, 0]), 50, user)).toBe(4);
  expect(readAccessList(list([1, 6], [4, 4], [8, 7, 9], [0x10, 7], [0x20, 1]), 0, user)).toBe(1);
});
