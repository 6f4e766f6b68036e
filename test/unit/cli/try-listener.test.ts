import { describe, expect, test } from "bun:test";
import { findFolders, listTries } from "../../../src/cli/try-listener.ts";
import { loadConfig } from "../../../src/config/load.ts";
import { makeAuthority } from "../../support/certificate-authority.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

const users = [{ name: "alice", password: "hunter2" }];

/** What is said of listeners that a configuration in `tls pair/` beside some files has. */
async function tries(config: object, { working, host = "127.0.0.1" }: { working?: string; host?: string } = {}) {
  const authority = await makeAuthority();
  const pair = await authority.issue();
  await using folder = await makeFolder({
    "proxy.config.json": config,
    "chain.pem": pair.cert + authority.cert,
    "leaf.pem": pair.cert,
    "key.pem": pair.key,
    "ca.pem": authority.cert,
  });
  const found = await loadConfig({ folder: folder.path, variables: {}, flags: {}, terminal: false });
  if (!found.ok) throw new Error(JSON.stringify(found.problems));
  const { compiled, file } = found.value;
  const bound = compiled.listeners.map((_, at) => ({ host, port: 8443 + at }));
  const lines = listTries(compiled, bound, findFolders(file, working ?? folder.path));
  return lines.map((line) => line.replaceAll(folder.path, "/FOLDER"));
}

const withTls = (cert: string, more: object = {}) => ({
  listen: [{ port: 0, tls: { cert, key: "key.pem", ...more } }],
});

describe("what a start says to try", () => {
  test.each<[config: object, lines: string[]]>([
    [{}, ["curl -x http://127.0.0.1:8443 https://example.com/"]],
    [{ users }, ["curl -x http://127.0.0.1:8443 --proxy-user USER https://example.com/"]],
    [
      { users, auth: { schemes: ["digest"] } },
      ["curl -x http://127.0.0.1:8443 --proxy-digest --proxy-user USER https://example.com/"],
    ],
    [
      { users, auth: { schemes: ["digest", "basic"] } },
      ["curl -x http://127.0.0.1:8443 --proxy-user USER https://example.com/"],
    ],
    [
      { users, auth: { schemes: ["digest"] }, listen: [{ port: 0, protocols: ["socks5"] }] },
      ["curl -x socks5h://127.0.0.1:8443 --proxy-user USER https://example.com/"],
    ],
    [{ users, listen: [{ port: 0, protocols: ["socks4"] }] }, []],
    [{ users, listen: [{ port: 0, proxyProtocol: ["127.0.0.1"] }] }, []],
    [
      { users, listen: [{ port: 0, proxyProtocol: ["127.0.0.1"] }, "127.0.0.1:0"] },
      ["curl -x http://127.0.0.1:8444 --proxy-user USER https://example.com/"],
    ],
  ])("%j has %j", async (config, lines) => {
    expect(await tries(config)).toEqual(lines);
  });

  test("names the file of the certificate where it holds the authority, from where the person is", async () => {
    expect(await tries(withTls("chain.pem"))).toEqual([
      "curl -x https://127.0.0.1:8443 --proxy-cacert chain.pem https://example.com/",
    ]);
    expect(await tries(withTls("chain.pem"), { working: "/somewhere else" })).toEqual([
      "curl -x https://127.0.0.1:8443 --proxy-cacert /FOLDER/chain.pem https://example.com/",
    ]);
  });

  test("names no authority where the certificate may be of a public one", async () => {
    expect(await tries(withTls("leaf.pem"))).toEqual(["curl -x https://127.0.0.1:8443 https://example.com/"]);
  });

  test("names the proxy as its certificate does", async () => {
    expect(await tries(withTls("leaf.pem"), { host: "192.0.2.7" })).toEqual([
      "curl -x https://localhost:8443 https://example.com/",
    ]);
  });

  test("has nothing for a listener that wants the certificate of the client", async () => {
    expect(await tries(withTls("leaf.pem", { clientCa: "ca.pem" }))).toEqual([]);
  });
});
