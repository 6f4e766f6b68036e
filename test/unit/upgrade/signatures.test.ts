import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseTrustedKeys, type TrustedKey, verifySignature } from "../../../src/upgrade/trusted-keys.ts";

// Written by Debian's minisign 0.11 and ssh-keygen of OpenSSH 9.2.
const folder = join(import.meta.dir, "../../fixtures/upgrade");
const read = (name: string): string => readFileSync(join(folder, name), "utf8");
const content = readFileSync(join(folder, "file"));

function readKeys(...names: readonly string[]): readonly TrustedKey[] {
  const keys = parseTrustedKeys(names.map(read).join("\n"));
  if (typeof keys === "string") throw new Error(keys);
  return keys;
}

const keys = readKeys("minisign.pub", "ssh.pub");

/** A text with one character of a line changed to another one of base64. */
function change(text: string, line: number, at: number): string {
  const lines = text.split("\n");
  const chosen = lines[line] ?? "";
  lines[line] = `${chosen.slice(0, at)}${chosen[at] === "A" ? "B" : "A"}${chosen.slice(at + 1)}`;
  return lines.join("\n");
}

describe("a signature", () => {
  test.each([
    ["hashed.minisig", "minisign key 13BFE41AF07826AE", "penstock 9.1.0"],
    ["legacy.minisig", "minisign key 13BFE41AF07826AE", "legacy"],
    ["file.sig", "ssh key SHA256:Xxr1/u1n92me11c7AT9nvc05BqMc1KDvyWjamTbO7oQ", ""],
    ["sha256.sig", "ssh key SHA256:Xxr1/u1n92me11c7AT9nvc05BqMc1KDvyWjamTbO7oQ", ""],
  ])("%s names who made it", (name, signer, comment) => {
    expect(verifySignature(read(name), content, keys)).toEqual({ ok: true, signer, comment });
  });

  test.each(["hashed.minisig", "legacy.minisig", "file.sig", "sha256.sig"])(
    "%s is not believed for any other content",
    (name) => {
      for (const other of [Buffer.alloc(0), Buffer.concat([content, content]), content.subarray(1)])
        expect(verifySignature(read(name), other, keys)).toEqual({
          ok: false,
          reason: "does not belong to these bytes",
        });
    },
  );

  test("of minisign is not believed with another trusted comment, or with that of another file", () => {
    const changed = read("hashed.minisig").replace("penstock 9.1.0", "penstock 9.2.0");
    expect(verifySignature(changed, content, keys)).toEqual({
      ok: false,
      reason: "has a trusted comment that was changed",
    });
    const mixed = [
      ...read("hashed.minisig").split("\n").slice(0, 2),
      ...read("legacy.minisig").split("\n").slice(2),
    ].join("\n");
    expect(verifySignature(mixed, content, keys).ok).toBe(false);
  });

  test("of minisign is not believed with any changed character of its two signatures", () => {
    const text = read("hashed.minisig");
    for (const line of [1, 3])
      for (let at = 0; at < (text.split("\n")[line] ?? "").length; at += 1)
        expect(verifySignature(change(text, line, at), content, keys).ok).toBe(false);
  });

  test("of ssh-keygen is not believed with any changed character", () => {
    const text = read("file.sig");
    const lines = text.split("\n");
    for (let line = 1; line < lines.length - 2; line += 1)
      for (let at = 0; at < (lines[line] ?? "").length; at += 1) {
        const changed = change(text, line, at);
        // The last characters before the padding can stand for the same bytes.
        const same = Buffer.from(changed.split("\n").slice(1, -2).join(""), "base64").equals(
          Buffer.from(lines.slice(1, -2).join(""), "base64"),
        );
        expect(verifySignature(changed, content, keys).ok).toBe(same);
      }
  });

  test("of ssh-keygen for a commit does not count for a file", () => {
    expect(verifySignature(read("git.sig"), content, keys)).toEqual({
      ok: false,
      reason: 'is for the namespace "git". Sign with: ssh-keygen -Y sign -n file',
    });
  });

  test("by a key that nobody trusts is not believed", () => {
    expect(verifySignature(read("hashed.minisig"), content, readKeys("ssh.pub"))).toEqual({
      ok: false,
      reason: "is by the key 13BFE41AF07826AE, which is not among the trusted ones",
    });
    expect(verifySignature(read("file.sig"), content, readKeys("minisign.pub"))).toEqual({
      ok: false,
      reason: "is by a key that is not among the trusted ones",
    });
  });

  test("that was cut anywhere is not believed, and is no bug", () => {
    for (const name of ["hashed.minisig", "file.sig"]) {
      const text = read(name).trimEnd();
      for (let length = 0; length < text.length; length += 1)
        expect(verifySignature(text.slice(0, length), content, keys).ok).toBe(false);
    }
  });

  test("of nobody's program says so", () => {
    expect(verifySignature("-----BEGIN PGP SIGNATURE-----", content, keys)).toEqual({
      ok: false,
      reason: "is of neither minisign nor ssh-keygen",
    });
  });
});

describe("a file of keys", () => {
  test("may have keys of both kinds, comments, empty lines and principals", () => {
    const text = `# ours\n\n${read("minisign.pub")}\nops@example.org ${read("ssh.pub")}`;
    expect(parseTrustedKeys(text)).toMatchObject([{ kind: "minisign" }, { kind: "ssh" }]);
  });

  test.each([
    ['ops@example.org valid-before="20200101" ssh-ed25519 AAAA', 1],
    ["cert-authority ops ssh-ed25519 AAAA", 1],
    ["ssh-rsa AAAAB3NzaC1yc2E", 1],
    ["ssh-ed25519 AAAA", 1],
    ["# fine\nRWQtoo-short", 2],
  ])("with %j is refused with the line", (text, line) => {
    expect(parseTrustedKeys(text)).toStartWith(`line ${line} is neither a public key of minisign`);
  });

  test("without a key is refused", () => {
    expect(parseTrustedKeys("# none\n")).toBe("there is no key in it");
  });
});
