import { expect, test } from "bun:test";
import { diffFingerprints, takeFingerprints } from "../../support/at-once.ts";

const materials = (files: Record<string, string>, variables: Record<string, string> = {}) => ({
  files: new Map(Object.entries(files)),
  variables,
  folder: "/",
  terminal: false,
});

test("changed secrets, functions, files and variables are named, and never shown", () => {
  const before = takeFingerprints(
    {
      users: [{ name: "ann", password: "one" }],
      sidecar: { token: { env: "TOKEN" } },
      upstreams: { a: "http://u:pw1@a:1" },
      rules: [() => 1],
    },
    materials({ users: "x", same: "y" }, { TOKEN: "t1" }),
  );
  const after = takeFingerprints(
    {
      users: [{ name: "ann", password: "two" }],
      sidecar: { token: { env: "TOKEN" } },
      upstreams: { a: "http://u:pw2@a:1" },
      rules: [() => 2],
    },
    materials({ users: "z", same: "y" }, { TOKEN: "t2" }),
  );
  expect(diffFingerprints(before, after).toSorted()).toEqual([
    'file "users": other content',
    "rules[0]: other content",
    "upstreams.a: other content",
    "users[0].password: other content",
    'variable "TOKEN": other content',
  ]);
  expect(diffFingerprints(after, after)).toEqual([]);
});
