import { readAttribute, writeAttribute } from "../net/libc/file-attributes.ts";

/** What became of the capabilities of the executable before (capabilities(7)). */
export interface Carried {
  /** As setcap(8) takes them: `cap_net_bind_service=ep`. */
  readonly capabilities: string;
  /** Why the new file does not have them. */
  readonly fault?: string;
}

const ATTRIBUTE = "security.capability";

/** Gives a file the capabilities of another one; undefined where that one has none. A change of the owner takes them away. */
export function carryCapabilities(from: string, to: string): Carried | undefined {
  const attribute = readAttribute(from, ATTRIBUTE);
  const capabilities = attribute && describeCapabilities(attribute);
  if (attribute === undefined || capabilities === undefined) return undefined;
  if (readAttribute(to, ATTRIBUTE)?.equals(attribute) === true) return { capabilities };
  const error = writeAttribute(to, ATTRIBUTE, attribute);
  if (error === 0) return { capabilities };
  return { capabilities, fault: error === 1 ? "only root may set them" : `the system says error ${error}` };
}

/** For a person, once the new file has taken the place of `target`. */
export function describeCarried(target: string, { capabilities, fault }: Carried): string {
  if (fault === undefined) return `It keeps the capabilities of the one before: ${capabilities}.`;
  return `Warning: it lacks the capabilities of the one before, since ${fault}. Run as root: setcap "${capabilities}" ${target}`;
}

/** The sets of `struct vfs_cap_data` as a text; undefined when it has none. */
export function describeCapabilities(attribute: Buffer): string | undefined {
  // Version 1 has one word for each set, versions 2 and 3 have two.
  const words = attribute.length >= 20 ? 2 : 1;
  if (attribute.length < 4 + 8 * words) return undefined;
  const isEffective = (attribute.readUInt32LE(0) & 1) !== 0;
  const read = (at: number): bigint =>
    BigInt(attribute.readUInt32LE(at)) | (words === 2 ? BigInt(attribute.readUInt32LE(at + 8)) << 32n : 0n);
  const [permitted, inheritable] = [read(4), read(8)];
  const byFlags = new Map<string, string[]>();
  for (let bit = 0n; bit < 64n; bit += 1n) {
    const has = (set: bigint): boolean => ((set >> bit) & 1n) === 1n;
    const flags = `${isEffective && (has(permitted) || has(inheritable)) ? "e" : ""}${has(inheritable) ? "i" : ""}${has(permitted) ? "p" : ""}`;
    if (flags === "") continue;
    const name = NAMES[Number(bit)];
    const named = name === undefined ? String(bit) : `cap_${name}`;
    byFlags.set(flags, [...(byFlags.get(flags) ?? []), named]);
  }
  if (byFlags.size === 0) return undefined;
  return [...byFlags].map(([flags, names]) => `${names.join(",")}=${flags}`).join(" ");
}

/** By their number (linux/capability.h). */
const NAMES = (
  "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service " +
  "net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin " +
  "sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override " +
  "mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore"
).split(" ");
