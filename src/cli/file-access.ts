import { lstatSync, readlinkSync, type Stats } from "node:fs";
import { dirname, join } from "node:path";
import { readAttribute } from "../net/libc/file-attributes.ts";
import type { Account } from "./accounts.ts";

/** Bits of a mode for one class of users. */
export const READ = 4;
export const WRITE = 2;
export const ENTER = 1;

/** What keeps a user from a file. */
export interface Obstacle {
  /** The file, or a folder on the way to it. */
  readonly at: string;
  readonly found: Stats;
  /** The bits of the mode that the user needs there. */
  readonly needs: number;
}

/** Where a path leads, links followed, and what keeps the user from it. */
export interface Walked {
  /** The path without links, as far as it is there. */
  readonly real: string;
  readonly found: Stats;
  /** Whether all of the path is there. */
  readonly isWhole: boolean;
  readonly obstacle: Obstacle | undefined;
}

/** Links that a path may lead over (path_resolution(7)). */
const MAX_LINKS = 40;

/**
 * Walks along an absolute path as the kernel does for that user: each folder must be
 * entered, and the end must allow `needs`. Undefined where this process cannot look.
 */
export function walk(path: string, account: Account, needs: number): Walked | undefined {
  try {
    const left = path.split("/").filter(Boolean);
    let real = "/";
    let found = lstatSync(real);
    let links = 0;
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      if (!allows(real, found, account, ENTER))
        return { real, found, isWhole: false, obstacle: { at: real, found, needs: ENTER } };
      const next = name === ".." ? dirname(real) : join(real, name);
      const stats = lstatSync(next, { throwIfNoEntry: false });
      if (stats === undefined) return { real, found, isWhole: false, obstacle: undefined };
      if (stats.isSymbolicLink()) {
        links += 1;
        if (links > MAX_LINKS) return undefined;
        const target = readlinkSync(next);
        left.unshift(...target.split("/").filter((part) => part !== "" && part !== "."));
        if (!target.startsWith("/")) continue;
        real = "/";
        found = lstatSync(real);
        continue;
      }
      real = next;
      found = stats;
    }
    const isDenied = !allows(real, found, account, needs);
    return { real, found, isWhole: true, obstacle: isDenied ? { at: real, found, needs } : undefined };
  } catch {
    // A part of it is no folder, or this process may not look: nothing can be said.
    return undefined;
  }
}

/** Whether a user may do what `needs` says, by mode, owner, group and access list. */
function allows(path: string, { mode, uid, gid }: Stats, account: Account, needs: number): boolean {
  if (account.uid === 0) return true;
  const has = (bits: number): boolean => (bits & needs) === needs;
  if (uid === account.uid) return has(mode >> 6);
  // The kernel looks at a list only where its mask, which is in place of the bits of the group, allows something.
  const list = (mode & 0o070) === 0 ? undefined : readAttribute(path, "system.posix_acl_access");
  if (list !== undefined) return has(readAccessList(list, gid, account));
  return has(account.groups.includes(gid) ? mode >> 3 : mode);
}

/** Tags of entries (linux/posix_acl.h). */
const USER = 0x02;
const GROUP_OBJ = 0x04;
const GROUP = 0x08;
const MASK = 0x10;
const OTHER = 0x20;

/** The bits that an access list gives a user who does not own the file (acl(5)). Groups add up: no file here needs two of them. */
export function readAccessList(list: Buffer, gid: number, { uid, groups }: Pick<Account, "uid" | "groups">): number {
  const bits = { user: undefined as number | undefined, group: undefined as number | undefined, mask: 7, other: 0 };
  // After a version each entry is a tag, bits and a number.
  for (let at = 4; at + 8 <= list.length; at += 8) {
    const [tag, allowed, id] = [list.readUInt16LE(at), list.readUInt16LE(at + 2), list.readUInt32LE(at + 4)];
    if (tag === USER && id === uid) bits.user = allowed;
    else if (tag === MASK) bits.mask = allowed;
    else if (tag === OTHER) bits.other = allowed;
    else if ((tag === GROUP_OBJ && groups.includes(gid)) || (tag === GROUP && groups.includes(id)))
      bits.group = (bits.group ?? 0) | allowed;
  }
  const masked = bits.user ?? bits.group;
  return masked === undefined ? bits.other : masked & bits.mask;
}
