import { describe, expect, test } from "bun:test";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { knowLookups, type Resolver } from "../../src/net/dns/resolver.ts";
import { ask, type HttpOrigin, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { makeIp } from "../support/make-policy.ts";
import { startProxy } from "../support/proxy.ts";

type Rules = NonNullable<PenstockConfig["rules"]>;

const loopback = { to: ["127.0.0.1"], allowPrivate: true };

function start(rules: Rules) {
  return startProxy({ rules, default: "deny" });
}

/** The statuses of requests on one connection, as long as it is kept. */
async function askInTurn(rules: Rules, origin: HttpOrigin, asked: readonly (readonly [string, string])[]) {
  await using proxy = await start(rules);
  using client = await proxy.connect();
  const statuses: string[] = [];
  for (const [method, path] of asked) {
    client.write(ask(method, origin.uri(path)));
    const { head } = await takeResponse(client, method !== "HEAD");
    statuses.push(head.slice(9, 12));
  }
  return statuses;
}

describe("a rule with methods and paths", () => {
  test("lets only such requests through, each on a kept connection judged by itself", async () => {
    using origin = serveHttp(() => ok("fine"));
    const asked = [
      ["GET", "/v1/a"],
      ["GET", "/v1/b?c=d"],
      ["GET", "/v1/c"],
      ["GET", "/v2/a"],
      ["DELETE", "/v1/a"],
      ["get", "/v1/a"],
      ["GET", "/v1/a"],
      ["GET", "/v1/%2e%2e/admin"],
      ["GET", "/v1//admin"],
      ["GET", "/%76%31/a"],
    ] as const;
    expect(await askInTurn([{ ...loopback, methods: ["GET"], paths: ["/v1/*"] }], origin, asked)).toEqual([
      "200",
      "200",
      "200",
      "403",
      "403",
      "403",
      "200",
      "403",
      "403",
      "200",
    ]);
    expect(origin.heads).toHaveLength(5);
  });

  test("that denies is asked for each request, though the ones before went through", async () => {
    using origin = serveHttp(() => ok("fine"));
    const rules: Rules = [{ name: "no-admin", to: ["127.0.0.1"], paths: ["/admin*"], deny: true }, loopback];
    const asked = [
      ["GET", "/a"],
      ["GET", "/b"],
      ["GET", "/c"],
      ["GET", "/admin/x"],
      ["GET", "/ADMIN"],
      ["GET", "/x/../admin"],
      ["GET", "/d"],
    ] as const;
    expect(await askInTurn(rules, origin, asked)).toEqual(["200", "200", "200", "403", "403", "403", "200"]);
    expect(origin.heads).toHaveLength(4);
  });

  test("that denies by the name that was found for a short one is asked for each request", async () => {
    using origin = serveHttp(() => ok("fine"));
    const rules: Rules = [
      { name: "no-admin", to: ["*.corp.example"], paths: ["/admin*"], deny: true },
      { to: ["intranet", "127.0.0.1"], allowPrivate: true },
    ];
    const none = { ok: false, detail: "dns_error", note: "there is none" } as const;
    const found = { ok: true, name: "intranet.corp.example", addresses: [makeIp("127.0.0.1")] } as const;
    const resolver: Resolver = {
      find: () => knowLookups(found, none),
      mayComplete: ({ text }) => !text.includes("."),
    };
    await using proxy = await startProxy({ rules, default: "deny" }, { resolver });
    using client = await proxy.connect();
    const statuses: string[] = [];
    for (const path of ["/a", "/b", "/c", "/admin", "/d"]) {
      client.write(ask("GET", `http://intranet:${origin.port}${path}`));
      statuses.push((await takeResponse(client, true)).head.slice(9, 12));
    }
    expect(statuses).toEqual(["200", "200", "200", "403", "200"]);
    expect(origin.heads).toHaveLength(4);
  });

  test("that allows does not let a tunnel through, nor a request to switch protocols", async () => {
    using origin = serveHttp(() => ok("fine"));
    await using proxy = await start([{ ...loopback, methods: ["GET"], paths: ["*"] }]);
    const { head } = await proxy.tunnel(`127.0.0.1:${origin.port}`);
    expect(head).toStartWith("HTTP/1.1 403 No rule allows the target\r\n");
    const upgrade = (protocol: string) => `Connection: Upgrade, close\r\nUpgrade: ${protocol}\r\n`;
    for (const protocol of ["websocket", "websocket, h2c"])
      expect(await proxy.exchange(ask("GET", origin.uri(), upgrade(protocol)))).toStartWith("HTTP/1.1 403 ");
    expect(origin.heads).toEqual([]);
    // What is not passed on is no such request.
    expect(await proxy.exchange(ask("GET", origin.uri(), upgrade("h2c")))).toStartWith("HTTP/1.1 200 ");
  });

  test("that denies refuses tunnels, since nobody sees what is asked for inside", async () => {
    using origin = serveHttp(() => ok("fine"));
    await using proxy = await start([{ name: "read", to: ["127.0.0.1"], methods: ["POST"], deny: true }, loopback]);
    const { head } = await proxy.tunnel(`127.0.0.1:${origin.port}`);
    expect(head).toStartWith("HTTP/1.1 403 Denied by rule read\r\n");
    const fields = "Connection: Upgrade, close\r\nUpgrade: websocket\r\n";
    expect(await proxy.exchange(ask("GET", origin.uri(), fields))).toStartWith("HTTP/1.1 403 ");
    expect(await proxy.exchange(ask("GET", origin.uri(), "Connection: close\r\n"))).toStartWith("HTTP/1.1 200 ");
  });

  test("changes only the requests that it matches", async () => {
    using origin = serveHttp(() => ok("fine"));
    const request = { set: { "x-key": "k" }, allowPlain: true };
    await using proxy = await start([{ ...loopback, methods: ["GET"], paths: ["/v1/*"], request }, loopback]);
    using client = await proxy.connect();
    const paths = ["/v1/a", "/a", "/v1/../a", "/v1/b", "/b", "/b", "/b", "/v1/c"];
    for (const path of paths) {
      client.write(ask("GET", origin.uri(path)));
      await takeResponse(client);
    }
    expect(origin.heads.map((head) => head.includes("\r\nx-key: k\r\n"))).toEqual([
      true,
      false,
      false,
      true,
      false,
      false,
      false,
      true,
    ]);
  });
});
