import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A user as the system judges by: numbers. */
export interface Account {
  /** Its name, or its number where it has no name. */
  readonly name: string;
  /** -1 for a user whose number nobody knows before it is made. */
  readonly uid: number;
  /** Its primary group first. */
  readonly groups: readonly number[];
}

/** Who has a file, and in which group it is, by name where there is one. */
export interface Accounts {
  find(user: string): Account | undefined;
  /** The number of a group. */
  findGroup(group: string): number | undefined;
  nameUser(uid: number): string;
  nameGroup(gid: number): string;
  /** Whether a path is the home folder of somebody. */
  isHome(path: string): boolean;
}

/** Reads passwd(5) and group(5) below `root`. */
export function readAccounts(root: string): Accounts {
  const users = readTable(join(root, "etc/passwd")).map(([name = "", , uid, gid, , home = ""]) => ({
    name,
    uid: Number(uid),
    gid: Number(gid),
    home,
  }));
  const groups = readTable(join(root, "etc/group")).map(([name = "", , gid, members = ""]) => ({
    name,
    gid: Number(gid),
    members: members.split(","),
  }));
  const homes = new Set(users.map(({ home }) => home));
  return {
    find(user) {
      const isNumber = /^\d+$/.test(user);
      const found = users.find(({ name, uid }) => name === user || (isNumber && uid === Number(user)));
      // A number needs no account.
      if (found === undefined) return isNumber ? { name: user, uid: Number(user), groups: [] } : undefined;
      const others = groups.filter(({ members }) => members.includes(found.name)).map(({ gid }) => gid);
      return { name: found.name, uid: found.uid, groups: [found.gid, ...others] };
    },
    findGroup: (group) =>
      groups.find(({ name, gid }) => name === group || String(gid) === group)?.gid ??
      (/^\d+$/.test(group) ? Number(group) : undefined),
    nameUser: (uid) => users.find((user) => user.uid === uid)?.name ?? String(uid),
    nameGroup: (gid) => groups.find((group) => group.gid === gid)?.name ?? String(gid),
    isHome: (path) => path !== "/" && homes.has(path),
  };
}

/** The fields of the lines of a file in /etc; none where it cannot be read. */
function readTable(path: string): string[][] {
  try {
    const lines = readFileSync(path, "utf8").split("\n");
    return lines.filter((line) => line !== "" && !line.startsWith("#")).map((line) => line.split(":"));
  } catch {
    return [];
  }
}
