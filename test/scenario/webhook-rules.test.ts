import { describe, expect, test } from "bun:test";
import { checkConfig } from "../../src/config/check.ts";
import { formatProblem } from "../../src/config/problem.ts";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { basic, startProxy, type TestProxy } from "../support/proxy.ts";
import { reserveClosedPort } from "../support/unreachable.ts";

/** A webhook that answers as told, and what it was asked. */
function serveWebhook(answer: (question: Record<string, unknown>) => unknown) {
  const asked: unknown[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const question = (await request.json()) as Record<string, unknown>;
      asked.push(question);
      const given = await answer(question);
      return given instanceof Response ? given : Response.json(given);
    },
  });
  return {
    asked,
    url: `http://127.0.0.1:${server.port}/decide`,
    async [Symbol.asyncDispose]() {
      await server.stop(true);
    },
  };
}

type Webhook = Record<string, unknown> & { url: string };

function ruled(webhook: Webhook, more: PenstockConfig = {}): PenstockConfig {
  return { rules: [{ name: "gatekeeper", webhook }], default: "deny", ...more };
}

async function connectTo(proxy: TestProxy, target: string, fields?: Record<string, string>): Promise<string> {
  const { peer, head } = await proxy.tunnel(target, fields);
  peer[Symbol.dispose]();
  return `${head.slice(9, 12)} ${/details="([^"]*)/.exec(head)?.[1] ?? ""}`.trim();
}

/** No special-purpose address is opened: this word says that the rule has allowed. */
const ALLOWED = "403 address_prohibited";

describe("a webhook for a rule", () => {
  test("is asked who wants to go where, and its answers hold for a while", async () => {
    await using hook = serveWebhook(({ port }) =>
      port === 443 ? { allow: true } : { allow: false, reason: "only 443\r\n, \u{1F600}" },
    );
    const users = [{ name: "ann", password: "pw-1" }];
    await using proxy = await startProxy(ruled({ url: hook.url, cache: "1m" }, { users }));
    for (const _ of [1, 2]) expect(await connectTo(proxy, "127.0.0.1:443", basic("ann", "pw-1"))).toStartWith(ALLOWED);
    for (const _ of [1, 2])
      expect(await connectTo(proxy, "127.0.0.1:22", basic("ann", "pw-1"))).toBe(
        "403 denied_by_rule: rule gatekeeper: only 443??, ??",
      );
    const asked = { rule: "gatekeeper", client: "127.0.0.1", user: "ann", parameters: {}, host: "127.0.0.1" };
    expect(hook.asked).toEqual([
      { ...asked, port: 443 },
      { ...asked, port: 22 },
    ]);
  });

  test("is asked each time when its answer holds for no time, and about each request of a kept connection", async () => {
    using origin = serveHttp(() => ok("x"));
    await using hook = serveWebhook(({ path }) => ({ allow: path !== "/secret", for: 0 }));
    const to = { rules: [{ webhook: { url: hook.url } }], default: "deny" as const };
    await using proxy = await startProxy({ ...to, upstreams: {} });
    const peer = await proxy.connect();
    const get = async (path: string): Promise<string> => {
      peer.write(`GET http://127.0.0.1:${origin.port}${path} HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\n\r\n`);
      return /details="?([a-z_]+)/.exec((await takeResponse(peer)).head)?.[1] ?? "none";
    };
    expect(await get("/a?key=s3cret")).toBe("address_prohibited");
    expect(await get("/a?key=s3cret")).toBe("address_prohibited");
    expect(await get("/secret")).toBe("denied_by_rule");
    expect(hook.asked).toMatchObject([
      { method: "GET", path: "/a" },
      { method: "GET", path: "/a" },
      { method: "GET", path: "/secret" },
    ]);
    expect(JSON.stringify(hook.asked)).not.toContain("s3cret");
  });

  test("is asked only about what the rule matches", async () => {
    await using hook = serveWebhook(() => ({ allow: true }));
    const rules = [{ to: ["*.asked.test"], webhook: { url: hook.url } }];
    await using proxy = await startProxy({ rules, default: "deny" });
    expect(await connectTo(proxy, "other.test:443")).toBe("403 denied_by_default");
    expect(hook.asked).toEqual([]);
  });

  test("can deny what the conditions of its rule cannot see, and cannot allow it", async () => {
    using origin = serveHttp(() => ok("x"));
    let allow = false;
    await using hook = serveWebhook(() => ({ allow, for: 0 }));
    const admin = { name: "admin", paths: ["/admin/*"], webhook: { url: hook.url } };
    const rest = { name: "rest", to: ["127.0.0.1/32"], allowPrivate: true };
    await using open = await startProxy({ rules: [admin, rest], default: "deny" });
    await using shut = await startProxy({ rules: [admin], default: "deny" });
    const target = `127.0.0.1:${origin.port}`;
    const get = async (proxy: TestProxy, path: string): Promise<string> => {
      const peer = await proxy.connect();
      peer.write(`GET http://${target}${path} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
      const { head } = await takeResponse(peer);
      peer[Symbol.dispose]();
      return /details="?([a-z_]+)/.exec(head)?.[1] ?? head.slice(9, 12);
    };
    for (const path of ["/admin/x", "/ADMIN/x", "/a//../admin/x"]) expect(await get(open, path)).toBe("denied_by_rule");
    expect(await connectTo(open, target)).toBe("403 denied_by_rule: rule admin");
    expect(hook.asked).toHaveLength(4);
    expect(await get(open, "/other")).toBe("200");
    expect(hook.asked).toHaveLength(4);
    allow = true;
    expect(await get(open, "/a//../admin/x")).toBe("200");
    expect(await connectTo(open, target)).toBe("200");
    expect(await get(shut, "/admin/x")).toBe("address_prohibited");
    for (const path of ["/ADMIN/x", "/a//../admin/x"]) expect(await get(shut, path)).toBe("denied_by_default");
    expect(await connectTo(shut, target)).toBe("403 denied_by_default");
  });

  test.each([
    ["another status", () => new Response("{}", { status: 500 }), "answered with 500"],
    ["no JSON", () => new Response("yes"), "answered with something that is not"],
    ["a text for true", () => ({ allow: "true" }), "answered with something that is not"],
    ["a time that is none", () => ({ allow: true, for: -1 }), "answered with something that is not"],
    ["nothing in time", () => new Promise(() => {}), "did not answer within 0.2 s"],
  ])("refuses everything when it answers with %s", async (name, answer, why) => {
    await using hook = serveWebhook(answer);
    await using proxy = await startProxy(
      ruled({ url: hook.url, timeout: name === "nothing in time" ? "200ms" : "10s" }),
    );
    expect(await connectTo(proxy, "198.51.100.1:443")).toStartWith(
      `403 hook_failed: rule gatekeeper: the webhook ${why}`,
    );
    expect(proxy.messages.join("\n")).toContain("webhook of rule gatekeeper");
  });

  test("refuses everything when it cannot be reached", async () => {
    const port = await reserveClosedPort();
    await using proxy = await startProxy(ruled({ url: `http://127.0.0.1:${port}/` }));
    expect(await connectTo(proxy, "198.51.100.1:443")).toContain("the webhook cannot be reached: ECONNREFUSED");
  });
});

test.each([
  [{ webhook: { url: "http://127.0.0.1/" }, deny: true }, 'Leave out "deny" or'],
  [{ webhook: { url: "http://127.0.0.1/" }, via: "direct" }, 'Leave out "webhook" or "via"'],
  [{ webhook: { url: "ftp://127.0.0.1/" } }, "rules[0].webhook.url: The address cannot be read"],
])("%j does not start: %s", (rule, message) => {
  const checked = checkConfig({ rules: [rule] });
  expect(checked.ok ? "" : checked.problems.map(formatProblem).join("\n")).toContain(message);
});
