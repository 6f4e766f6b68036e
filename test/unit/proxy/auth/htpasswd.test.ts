import { describe, expect, test } from "bun:test";
import { parseHtpasswd } from "../../../../src/proxy/auth/htpasswd.ts";

// Made by Apache's `htpasswd -nbBC 5 alice secret`.
const BCRYPT = "$2y$05$fIV1YdoAGCwtA7wE1IAwhOqjQGo5hmII2eFNYGoj92H9VCE/uy/aa";
const ARGON2ID =
  "$argon2id$v=19$m=64,t=1,p=1$AgVe9MEuGQ4+SKBCt86suBR9JGvNYuiwJ3zyFLM07SQ$ddth3E0bweLFYTXtjxrBr5tQjoAEyIR1k0Mys7RQer4";

function parse(text: string): unknown {
  const result = parseHtpasswd(text);
  return result.ok
    ? result.users.map(({ name, password }) => [name, password.reveal()])
    : result.problems.map(({ line, message }) => `${line}: ${message}`);
}

describe("parseHtpasswd()", () => {
  test("reads what htpasswd -B and passwd write", () => {
    expect(parse(`alice:${BCRYPT}\nbob:${ARGON2ID}\n`)).toEqual([
      ["alice", BCRYPT],
      ["bob", ARGON2ID],
    ]);
  });

  test("takes $2a$, $2b$ and $2y$", () => {
    for (const kind of ["$2a$", "$2b$", "$2y$"]) {
      const hash = BCRYPT.replace("$2y$", kind);
      expect(parse(`alice:${hash}`)).toEqual([["alice", hash]]);
    }
  });

  test("passes over comments, blank lines, CRLF and a byte order mark", () => {
    const text = `\ufeff# users\r\n\r\n  # more\r\nalice:${BCRYPT}\r\n\t\r\n`;
    expect(parse(text)).toEqual([["alice", BCRYPT]]);
    expect(parse("")).toEqual([]);
  });

  test("takes any name that Basic can carry", () => {
    expect(parse(`Jürgen O'Neil #2:${BCRYPT}`)).toEqual([["Jürgen O'Neil #2", BCRYPT]]);
    expect(parse(`__proto__:${BCRYPT}`)).toEqual([["__proto__", BCRYPT]]);
  });

  test("tells all problems at once, each with its line", () => {
    const text = [
      "# old file",
      "a:$apr1$x$0123456789012345678901",
      "b:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
      "c:rqXexS6ZhobKA",
      `:${BCRYPT}`,
      `d:${BCRYPT}`,
      "hunter2",
      `d:${ARGON2ID}`,
      "e:",
    ].join("\n");
    const wanted = 'Wanted is bcrypt ("htpasswd -B") or argon2id ("penstock passwd").';
    expect(parse(text)).toEqual([
      `2: "a" has a hash of the kind "$apr1$". ${wanted}`,
      `3: "b" has a hash of the kind "{SHA}". ${wanted}`,
      `4: "c" has no hash that is known here. ${wanted}`,
      "5: What stands before the colon is not a user name. Wanted are 1 to 255 bytes without control characters before the colon.",
      "7: There is no colon. Wanted is name:hash.",
      '8: "d" already has line 6. Remove one of them.',
      '9: "e" has an empty password.',
    ]);
  });

  test("never quotes a hash or a line that may be a password", () => {
    const text = "hunter2\na:hunter3\nb:$1$hunter4$hunter5";
    expect(JSON.stringify(parse(text))).not.toContain("hunter");
  });

  test("refuses a name with control characters and one of 256 bytes", () => {
    expect(parse(`a\u0007b:${BCRYPT}`)).toHaveLength(1);
    expect(parse(`${"n".repeat(255)}:${BCRYPT}`)).toEqual([["n".repeat(255), BCRYPT]]);
    expect(parse(`${"n".repeat(256)}:${BCRYPT}`)).toEqual([expect.stringContaining("1 to 255 bytes")]);
  });
});
