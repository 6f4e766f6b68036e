import { expect, test } from "bun:test";

import { checkConfig } from "../../../src/config/check.ts";
import { formatProblem } from "../../../src/config/problem.ts";

const mistakes: [raw: unknown, advice: string][] = [
  [{ listen: ["http://0.0.0.0:8080"] }, 'listen[0]: "http://0.0.0.0:8080" is a URL. Write "0.0.0.0:8080".'],
  [{ listen: [{ port: "80" }] }, 'listen[0].port: Found "80". Write a whole number from 0 to 65535. Leave out'],
  [{ sidecar: 9080 }, "sidecar: Found a number. Write a map such as { port: 9080 }."],
  [{ users: { alice: "hunter2" } }, 'users: Found a map. Write a list of { name, password }, { file: "users.ht'],
  [{ users: { fiel: "users.htpasswd" } }, 'issuer, audience } or a function. Did you mean "file"?'],
  [{ users: ["alice:hunter2"] }, "users[0]: Found a text. Write a map with name and password."],
  [{ rules: [{ via: "dirct" }] }, 'rules[0].via: There is no upstream "dirct". Write "direct", "environment" or'],
  [
    { upstreams: { a: { url: "http://h:1", pass: "x" } } },
    'upstreams.a.pass: There is no such setting. Did you mean "password"?',
  ],
  [
    { rules: [{ to: ["https://github.com/"], deny: true }] },
    'rules[0].to[0]: "https://github.com/" is a URL. Write "github.com:443".',
  ],
  [
    { rules: [{ to: ["*example.org:443"], deny: true }] },
    'rules[0].to[0]: "*example.org:443" has a star that stands for part of a name. Write "*.example.org:443" for the names below it, "example.org:443" for itself, or both.',
  ],
  [{ rules: [{ tls: { min: "1.4" } }] }, 'rules[0].tls.min: Found "1.4". Write one of "1.0", "1.1", "1.2", "1.3".'],
  [{ rules: [{ tls: { min: 1.3 } }] }, 'rules[0].tls.min: Found 1.3. Write one of "1.0", "1.1", "1.2", "1.3". Put it'],
];

test.each(mistakes)("%j is told with what to write instead", (raw, advice) => {
  const checked = checkConfig(raw);
  expect(checked.ok ? "" : checked.problems.map(formatProblem).join("\n")).toContain(advice);
});
