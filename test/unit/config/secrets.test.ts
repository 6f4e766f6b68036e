import { expect, test } from "bun:test";
import { takeFingerprints } from "../../support/at-once.ts";
import { redact } from "../../../src/config/secrets.ts";
import { compileForTest } from "../../support/compile-for-test.ts";

test("every secret of a configuration is listed, wherever it stands and as it is meant", () => {
  const { secrets } = compileForTest(
    {
      users: [
        { name: "alice", password: "pw-plain" },
        { name: "bob", password: { env: "BOB" } },
        { name: "carol", password: { file: "carol.txt" } },
      ],
      sidecar: { port: 0, token: "side-token" },
      upstreams: {
        a: "http://edge:url%2Fsecret@192.0.2.1:3128",
        b: { url: "socks5://192.0.2.1:1080", username: "edge", password: "own-secret" },
      },
      upstream: undefined,
    },
    {
      variables: { BOB: "from-env", https_proxy: "http://me:conventional@192.0.2.9:1" },
      files: new Map([["carol.txt", "from-file\n"]]),
    },
  );
  expect([...secrets].sort()).toEqual(
    [
      "conventional",
      "from-env",
      "from-file",
      "own-secret",
      "pw-plain",
      "side-token",
      "url%2Fsecret",
      "url/secret",
    ].sort(),
  );
});

test.each([
  ["https://ann:pw@lists.example/a.txt?key=k#f", "https://[redacted]@lists.example/a.txt?[redacted]"],
  ["https://lists.example/a.txt?key=a\nb", "https://lists.example/a.txt?[redacted]"],
  ["HTTP://lists.example?key", "HTTP://lists.example?[redacted]"],
  ["https://lists.example/a.txt", "https://lists.example/a.txt"],
  ["https://lists.example/#?a", "https://lists.example/#?a"],
  ["/v1/what?", "/v1/what?"],
])("of the URL %j people see %j, wherever it stands", (url, shown) => {
  expect(redact({ lists: { dev: { url } }, jwks: url, many: [url] })).toEqual({
    lists: { dev: { url: shown } },
    jwks: shown,
    many: [shown],
  });
});

test("a URL with another query is another content", () => {
  const take = (key: string) =>
    takeFingerprints(
      { lists: { dev: { url: `https://lists.example/a.txt?key=${key}` } } },
      { files: new Map(), variables: {}, folder: "/", terminal: false },
    );
  const [before, after] = [take("old"), take("new")];
  expect([...before.keys()]).toEqual(["lists.dev.url"]);
  expect(after).not.toEqual(before);
});
