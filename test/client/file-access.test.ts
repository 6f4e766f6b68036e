import { expect } from "bun:test";
import { chmod, chown, mkdir, symlink } from "node:fs/promises";
import { ENTER, READ, walk, WRITE } from "../../src/cli/file-access.ts";
import { writeAttribute } from "../../src/net/libc/file-attributes.ts";
import { needs } from "../support/needs.ts";
import { makeFolder } from "../support/temporary-folder.ts";

const asRoot = needs("setpriv", ...(process.getuid?.() === 0 ? [] : ["root"]));

/** Numbers below `limit`, the same from each seed. */
function createRandom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (state >> 8) % limit;
  };
}

/** An access list with some named users and groups. */
function makeList(random: (limit: number) => number): Buffer {
  const named = (tag: number, ids: readonly number[]) =>
    ids.filter(() => random(2) === 0).map((id) => [tag, random(8), id] as const);
  const nobody = 0xffff_ffff;
  const entries = [
    [0x01, random(8), nobody] as const,
    ...named(0x02, [5001, 5002]),
    [0x04, random(8), nobody] as const,
    ...named(0x08, [6001, 6002]),
    [0x10, random(8), nobody] as const,
    [0x20, random(8), nobody] as const,
  ];
  const bytes = Buffer.alloc(4 + 8 * entries.length);
  bytes.writeUInt32LE(2, 0);
  for (const [at, [tag, bits, id]] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + 8 * at);
    bytes.writeUInt16LE(bits, 6 + 8 * at);
    bytes.writeUInt32LE(id, 8 + 8 * at);
  }
  return bytes;
}

asRoot(
  "who may read, write and enter is judged as the kernel does, with modes, groups, access lists and links",
  async () => {
    await using folder = await makeFolder();
    const random = createRandom(7);
    const dress = async (path: string): Promise<void> => {
      await chown(path, [0, 5001, 5002, 5003][random(4)] ?? 0, [0, 6001, 6002, 6003][random(4)] ?? 0);
      await chmod(path, random(3) === 0 ? random(0o1000) : 0o755);
      // A file system without access lists is judged without them.
      if (random(3) === 0) writeAttribute(path, "system.posix_acl_access", makeList(random));
    };
    const paths: string[] = [];
    for (let at = 0; at < 60; at += 1) {
      const top = `${folder.path}/${at}`;
      await mkdir(`${top}/a`, { recursive: true });
      await Bun.write(`${top}/a/f`, "");
      await symlink("a/../a", `${top}/l`);
      for (const path of [`${top}/a/f`, `${top}/a`, top]) await dress(path);
      paths.push(`${top}/${random(2) === 0 ? "a" : "l"}/f`, `${top}/a`);
    }
    for (const [uid, ...groups] of [
      [5001, 6001],
      [5002, 6003, 6002],
      [5003, 6001, 6002, 6003],
      [5004, 6009],
    ] as const) {
      const [gid, ...more] = groups;
      const others = more.length === 0 ? ["--clear-groups"] : ["--groups", more.join(",")];
      for (const [flag, needed] of [
        ["-r", READ],
        ["-w", WRITE],
        ["-x", ENTER],
      ] as const) {
        const script = `while read f; do if [ ${flag} "$f" ]; then echo yes; else echo no; fi; done`;
        const command = ["setpriv", "--reuid", String(uid), "--regid", String(gid), ...others, "sh", "-c", script];
        const { stdout } = Bun.spawnSync(command, { stdin: Buffer.from(`${paths.join("\n")}\n`) });
        const judged = paths.map((path) => {
          const walked = walk(path, { name: "u", uid, groups }, needed);
          return walked !== undefined && walked.isWhole && walked.obstacle === undefined ? "yes" : "no";
        });
        expect(judged).toEqual(stdout.toString().trim().split("\n") as typeof judged);
      }
    }
  },
);
