import { expect, test } from "bun:test";
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
