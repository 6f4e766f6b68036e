import { describe, expect, test } from "bun:test";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { checkConfig } from "../../src/config/check.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { runCli } from "../../src/cli/run-cli.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { allowLoopback, basic, startProxy } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";

const users = [{ name: "ann", password: "secret" }];
const lan = { auth: { exempt: [{ name: "lan", from: "127.0.0.0/8" }] } };
const config: PenstockConfig = { users, ...lan };

describe("a client whose address needs no credentials", () => {
  test("has the name of its range in the log and for rules", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({
      ...config,
      rules: [{ ...allowLoopback, users: ["lan"] }],
      default: "deny",
    });
    const target = `127.0.0.1:${echo.port}`;
    const { peer, head } = await proxy.tunnel(target);
    expect(head).toStartWith("HTTP/1.1 200 ");
    peer[Symbol.dispose]();
    expect(await proxy.record()).toMatchObject({ user: "lan", status: 200 });
    const { head: asAnn } = await proxy.tunnel(target, basic("ann", "secret"));
    expect(asAnn).toStartWith("HTTP/1.1 403 ");
    expect(await proxy.record(1)).toMatchObject({ user: "ann", detail: "denied_by_default" });
  });

  test("is judged by the credentials that it shows", async () => {
    await using proxy = await startProxy({ ...config, default: "deny", rules: [] });
    for (const fields of [basic("ann", "wrong"), basic("lan", ""), { "Proxy-Authorization": "Basic !" }]) {
      const { head } = await proxy.tunnel("192.0.2.1:443", fields);
      expect(head).toStartWith("HTTP/1.1 407 ");
    }
  });

  test("has no name when the range has none, and asks again and again on one connection", async () => {
    using origin = serveHttp(() => ok("ok"));
    await using proxy = await startProxy({ users, auth: { exempt: ["127.0.0.0/8"] } });
    using peer = await proxy.connect();
    for (const [at, [fields, status]] of (
      [
        ["", "200"],
        ["", "200"],
        [`Proxy-Authorization: ${basic("ann", "secret")["Proxy-Authorization"]}\r\n`, "200"],
        ["", "200"],
        [`Proxy-Authorization: ${basic("ann", "wrong")["Proxy-Authorization"]}\r\n`, "407"],
      ] as const
    ).entries()) {
      peer.write(ask("GET", origin.uri(), fields));
      const { head } = await takeResponse(peer);
      expect(head).toStartWith(`HTTP/1.1 ${status} `);
      const { user } = await proxy.record(at);
      expect(user ?? undefined).toBe(fields === "" ? undefined : "ann");
    }
  });

  test.each([
    ["without a password in its offer, asks for none", [5, 1, 0], [5, 0]],
    ["that offers a password, is asked for it", [5, 2, 0, 2], [5, 2]],
  ])("and speaks SOCKS5, %s", async (_, offer, choice) => {
    await using proxy = await startProxy(config);
    using peer = await proxy.connect();
    peer.write(Uint8Array.from(offer));
    await peer.untilReceived(2);
    expect([...peer.take()]).toEqual(choice);
  });

  test("is let in by SOCKS4, which has no passwords", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy(config);
    using peer = await proxy.connect();
    peer.write(Uint8Array.of(4, 1, echo.port >> 8, echo.port & 0xff, 127, 0, 0, 1, 0));
    await peer.untilReceived(8);
    expect([...peer.take()].slice(0, 2)).toEqual([0, 90]);
  });
});

describe("behind a load balancer", () => {
  const behind: PenstockConfig = {
    users,
    listen: [{ port: 0, proxyProtocol: ["127.0.0.0/8"] }],
    auth: { exempt: ["127.0.0.0/8", { name: "office", from: ["192.0.2.0/24", "2001:db8::/32"] }] },
    rules: [],
    default: "deny",
  };

  test.each([
    ["PROXY TCP4 192.0.2.9 198.51.100.1 4711 8080\r\n", "403", "office"],
    ["PROXY TCP4 203.0.113.9 198.51.100.1 4711 8080\r\n", "407", undefined],
    // The load balancer says nothing about its client, and is no client itself.
    ["PROXY UNKNOWN\r\n", "407", undefined],
    ["PROXY TCP4 127.0.0.9 198.51.100.1 4711 8080\r\n", "407", undefined],
  ])("%p leads to %s", async (header, status, user) => {
    await using proxy = await startProxy(behind);
    using peer = await proxy.connect();
    peer.write(`${header}CONNECT 198.51.100.7:443 HTTP/1.1\r\nHost: 198.51.100.7:443\r\n\r\n`);
    await peer.untilEnd();
    expect(peer.text).toStartWith(`HTTP/1.1 ${status} `);
    expect((await proxy.record())["user"] ?? undefined).toBe(user);
  });

  test("a header from anybody else makes no client exempt", async () => {
    await using proxy = await startProxy({ ...behind, listen: [{ port: 0, proxyProtocol: ["192.0.2.1"] }] });
    const answer = await proxy.exchange(
      "PROXY TCP4 192.0.2.9 198.51.100.1 4711 8080\r\nCONNECT 198.51.100.7:443 HTTP/1.1\r\nHost: 198.51.100.7:443\r\n\r\n",
    );
    expect(answer).toStartWith("HTTP/1.1 400 ");
  });
});

test.each([
  [{ auth: { exempt: ["10.0.0.0/8"] } }, "auth.exempt: The proxy asks nobody for credentials"],
  [{ users, auth: { exempt: ["0.0.0.0/0"] } }, 'auth.exempt[0]: "0.0.0.0/0" is so wide that the proxy is open'],
  [{ users, auth: { exempt: [{ name: "all", from: ["10.0.0.0/8", "::/0"] }] } }, '"::/0" is so wide'],
  [{ users, auth: { exempt: [{ name: "ann", from: "10.0.0.0/8" }] } }, "auth.exempt[0].name: There is a user"],
  [{ users, auth: { exempt: [{ name: "a:b", from: "10.0.0.0/8" }] } }, "has a colon"],
  [{ users, auth: { exempt: "10.0.0.0/8" } }, "Put brackets around it"],
  [{ users, ...lan, rules: [{ users: ["lam"], allow: true }] }, 'There is no user "lam".'],
])("%j does not start: %s", (written, message) => {
  const checked = checkConfig(written);
  expect(checked.ok ? [] : checked.problems.map(formatProblem).join("\n")).toContain(message);
});

test("a range for everybody is accepted in an open proxy", () => {
  expect(checkConfig({ users, open: true, auth: { exempt: ["0.0.0.0/0"] } }).ok).toBe(true);
});

test("explain knows clients that need no credentials", async () => {
  await using folder = await makeFolder({
    "proxy.config.json": JSON.stringify({ ...config, auth: { exempt: [{ name: "lan", from: "10.0.0.0/8" }] } }),
  });
  const explain = async (from: string) => {
    const io = createFakeIo({ folder: folder.path });
    await runCli(["explain", "192.0.2.1:443", "--from", from], io);
    return io.printed();
  };
  expect(await explain("10.1.2.3")).toContain("10.1.2.3 as lan");
  expect(await explain("10.1.2.3")).toContain('"auth.exempt" has the client');
  expect(await explain("11.1.2.3")).toContain("without credentials the answer is 407");
});
