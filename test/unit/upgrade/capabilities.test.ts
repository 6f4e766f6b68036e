import { expect, test } from "bun:test";
import { chmod, stat } from "node:fs/promises";
import { readAttribute, writeAttribute } from "../../../src/net/libc/file-attributes.ts";
import { describeCapabilities, describeCarried } from "../../../src/upgrade/carry-capabilities.ts";
import { takePrevious, writeCandidate } from "../../../src/upgrade/replace-executable.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

const ATTRIBUTE = "security.capability";

/** `struct vfs_cap_data` of version 2. */
function encode(permitted: bigint, inheritable = 0n, isEffective = true): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt32LE(0x0200_0000 + (isEffective ? 1 : 0), 0);
  for (const [at, set] of [permitted, inheritable].entries()) {
    bytes.writeUInt32LE(Number(set & 0xffff_ffffn), 4 + 4 * at);
    bytes.writeUInt32LE(Number(set >> 32n), 12 + 4 * at);
  }
  return bytes;
}

const BIND = 1n << 10n;

test.each([
  [encode(BIND), "cap_net_bind_service=ep"],
  [encode(BIND | (1n << 39n)), "cap_net_bind_service,cap_bpf=ep"],
  [encode(BIND, 1n << 21n, false), "cap_net_bind_service=p cap_sys_admin=i"],
  [encode(1n << 50n), "50=ep"],
  [encode(0n), undefined],
  [encode(BIND).subarray(0, 10), undefined],
])("capabilities of a file are told as setcap takes them (%#)", (attribute, text) => {
  expect(describeCapabilities(attribute)).toBe(text);
});

test("an upgrade and the way back carry the capabilities of the executable, and keep its mode", async () => {
  await using folder = await makeFolder({ penstock: "old", "penstock.previous": "older" });
  const target = `${folder.path}/penstock`;
  await chmod(target, 0o751);
  const attribute = encode(BIND);
  // Only root may give capabilities to a file.
  const isRoot = process.geteuid?.() === 0;
  expect(writeAttribute(target, ATTRIBUTE, attribute)).toBe(isRoot ? 0 : 1);
  const carried = isRoot ? { capabilities: "cap_net_bind_service=ep" } : undefined;

  const written = await writeCandidate(target, Buffer.from("new"));
  if (!written.ok) throw new Error(written.message);
  await using candidate = written.value;
  expect(candidate.carried).toEqual(carried);
  expect((await stat(candidate.path)).mode & 0o7777).toBe(0o751);
  expect(readAttribute(candidate.path, ATTRIBUTE)).toEqual(isRoot ? attribute : undefined);
  const installed = await candidate.install();
  expect(installed.ok).toBe(true);
  expect(await folder.read("penstock")).toBe("new");
  expect(readAttribute(target, ATTRIBUTE)).toEqual(isRoot ? attribute : undefined);

  const back = await takePrevious(target);
  if (!back.ok) throw new Error(back.message);
  await using previous = back.value;
  expect(previous.carried).toEqual(carried);
  expect(readAttribute(previous.path, ATTRIBUTE)).toEqual(isRoot ? attribute : undefined);
});

test("what could not be carried is told with the command that does it", () => {
  expect(
    describeCarried("/usr/bin/penstock", { capabilities: "cap_net_bind_service=ep", fault: "only root may set them" }),
  ).toBe(
    'Warning: it lacks the capabilities of the one before, since only root may set them. Run as root: setcap "cap_net_bind_service=ep" /usr/bin/penstock',
  );
});
