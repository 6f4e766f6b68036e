import { describe, expect, test } from "bun:test";

import { gatherMaterials, listVariables } from "../../../src/config/gather-materials.ts";
import { formatProblem } from "../../../src/config/problem.ts";

const files: Readonly<Record<string, string>> = { "u.htpasswd": "", token: "abc\n", "ca.pem": "PEM", blank: " \n" };

async function gather(raw: unknown, variables: Record<string, string> = {}) {
  const { materials, problems } = await gatherMaterials(raw, { folder: "/", variables, terminal: false }, (path) => {
    const text = files[path];
    return Promise.resolve(
      text === undefined ? { ok: false, reason: "there is no such file or folder" } : { ok: true, text },
    );
  });
  return { read: [...materials.files.keys()], problems: problems.map(formatProblem) };
}

describe("gatherMaterials()", () => {
  test("reads every file that is referred to", async () => {
    const raw = {
      users: { file: "u.htpasswd" },
      sidecar: { token: { file: "token" } },
      upstreams: { a: { url: "x", ca: ["ca.pem"], password: { file: "token" } } },
    };
    expect(await gather(raw)).toEqual({ read: ["u.htpasswd", "token", "ca.pem"], problems: [] });
  });

  test("reads the certificates, keys and authorities of listeners", async () => {
    const tls = { cert: "ca.pem", key: "token", certificates: [{ cert: "gone.pem", key: "" }], clientCa: ["none.pem"] };
    expect(await gather({ listen: ["8080", { port: 0, tls }, { tls: "cert" }] })).toEqual({
      read: ["ca.pem", "token"],
      problems: [
        'listen[1].tls.certificates[0].cert: Cannot read "gone.pem": there is no such file or folder.',
        'listen[1].tls.clientCa[0]: Cannot read "none.pem": there is no such file or folder.',
      ],
    });
  });

  test("tells every file and variable that is missing, with its path in the configuration", async () => {
    const raw = {
      users: [{ name: "a", password: { env: "NOPE" } }],
      sidecar: { token: { file: "blank" } },
      upstreams: { a: { ca: "gone.pem", cert: "gone.pem", password: { env: "EMPTY" } } },
      rules: [{ broken: true }],
    };
    expect(await gather(raw, { EMPTY: "" })).toEqual({
      read: [],
      problems: [
        'users[0].password.env: The environment variable "NOPE" is not set. Set it before starting.',
        'sidecar.token.file: The file "blank" is empty.',
        'upstreams.a.ca: Cannot read "gone.pem": there is no such file or folder.',
        'upstreams.a.cert: Cannot read "gone.pem": there is no such file or folder.',
        'upstreams.a.password.env: The environment variable "EMPTY" is empty. Set it before starting.',
      ],
    });
  });

  test("takes an upstream that is named like a reference for what it is", async () => {
    const raw = { upstreams: { file: "http://h:1", env: "http://h:2", ca: { url: "x" } } };
    expect(await gather(raw)).toEqual({ read: [], problems: [] });
  });

  test("takes names of fields, claims and lists for what they are, and files of rules for lists", async () => {
    const raw = {
      users: { jwks: "https://keys.example/", claims: { file: "x", env: "y" } },
      telemetry: { headers: { file: "x", env: { env: "TOKEN" } } },
      approvals: { notify: { headers: { ca: "x" } } },
      lists: { file: { file: "blank" } },
      forward: { constructor: "x", toString: "y" },
      rules: [
        {
          to: [{ file: "u.htpasswd" }],
          request: { set: { file: "x", authorization: { file: "token" } }, replace: { env: { env: "TOKEN" } } },
          webhook: { url: "x", headers: { file: "x" }, ca: "ca.pem" },
        },
      ],
    };
    expect(await gather(raw, { TOKEN: "abc" })).toEqual({
      read: ["u.htpasswd", "token", "ca.pem", "blank"],
      problems: [],
    });
  });

  test.each([[null], [[]], ["text"], [{ users: 5, upstreams: [], sidecar: null }]])(
    "passes over what is malformed",
    async (raw) => {
      expect(await gather(raw)).toEqual({ read: [], problems: [] });
    },
  );
});

test("listVariables() names the variables that the file asks for", () => {
  const raw = { users: [{ password: { env: "A" } }], sidecar: { token: { env: "B" } } };
  expect(listVariables(raw)).toEqual(["A", "B"]);
});
