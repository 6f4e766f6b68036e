import { describe, expect, test } from "bun:test";
import { checkConfig } from "../../src/config/check.ts";
import { compileConfig } from "../../src/config/compile.ts";
import { formatProblem } from "../../src/config/problem.ts";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { runCli } from "../../src/cli/run-cli.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { basic, startProxy, type TestProxy } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { reserveClosedPort } from "../support/unreachable.ts";

interface Asked {
  readonly body: unknown;
  readonly key: string | null;
  readonly type: string | null;
}

/** A webhook that answers as told, and what it was asked. */
function serveWebhook(answer: (asked: Asked) => Response | Promise<Response>) {
  const asked: Asked[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { headers } = request;
      const question = { body: await request.json(), key: headers.get("x-key"), type: headers.get("content-type") };
      asked.push(question);
      return answer(question);
    },
  });
  return {
    asked,
    url: `http://127.0.0.1:${server.port}/check`,
    async [Symbol.asyncDispose]() {
      await server.stop(true);
    },
  };
}

function isAnn({ body }: Asked): Response {
  return Response.json({ allow: (body as { password: string }).password === "secret" });
}

async function connectAs(proxy: TestProxy, user: string, password: string): Promise<string> {
  const { peer, head } = await proxy.tunnel("198.51.100.1:443", basic(user, password));
  peer[Symbol.dispose]();
  return `${head.slice(9, 12)} ${/error=\S+; details="([^"]*)|details="?([\w-]+)/.exec(head)?.[1] ?? ""}`.trim();
}

/** Nothing may be reached, so that 403 says that the user was accepted. */
const closed: PenstockConfig = { rules: [], default: "deny" };

describe("a webhook for users", () => {
  test("is asked with JSON and the fields of the configuration, and its yes holds for a while", async () => {
    await using hook = serveWebhook(isAnn);
    await using proxy = await startProxy({
      ...closed,
      users: { url: hook.url, cache: "1m", headers: { "x-key": "k3y" } },
      auth: { parameters: ["session"] },
    });
    expect(await connectAs(proxy, "ann-session-a1", "secret")).toStartWith("403");
    expect(await connectAs(proxy, "ann-session-a1", "secret")).toStartWith("403");
    expect(hook.asked).toEqual([
      {
        body: { user: "ann", password: "secret", parameters: { session: "a1" } },
        key: "k3y",
        type: "application/json",
      },
    ]);
    expect(await proxy.record()).toMatchObject({ user: "ann", detail: "denied_by_default" });
    // Every part of the question counts.
    expect(await connectAs(proxy, "ann-session-b2", "secret")).toStartWith("403");
    expect(await connectAs(proxy, "bob-session-a1", "secret")).toStartWith("403");
    expect(await connectAs(proxy, "ann-session-a1", "wrong")).toStartWith("407");
    expect(await connectAs(proxy, "ann-session-a1", "wrong")).toStartWith("407");
    expect(hook.asked).toHaveLength(5);
  });

  test("is asked each time when nothing is to be kept", async () => {
    await using hook = serveWebhook(isAnn);
    await using proxy = await startProxy({ ...closed, users: { url: hook.url, cache: "0" } });
    expect(await connectAs(proxy, "ann", "secret")).toStartWith("403");
    expect(await connectAs(proxy, "ann", "secret")).toStartWith("403");
    expect(hook.asked).toHaveLength(2);
  });

  test.each([
    ["another status", () => Response.json({ allow: true }, { status: 201 }), "answered with 201"],
    ["a redirect", () => Response.redirect("http://127.0.0.1:1/"), "answered with 302"],
    ["no JSON", () => new Response("allow"), "answered with something that is not"],
    ["a text for true", () => Response.json({ allow: "true" }), "answered with something that is not"],
    ["a lone true", () => Response.json(true), "answered with something that is not"],
    ["too much", () => Response.json({ allow: true, pad: "x".repeat(70_000) }), "answered with something that is not"],
    ["nothing in time", () => new Promise<Response>(() => {}), "did not answer within 0.2 s"],
  ])("refuses everybody when it answers with %s", async (_, answer, why) => {
    await using hook = serveWebhook(answer);
    const timeout = why.startsWith("did not") ? "200ms" : "30s";
    await using proxy = await startProxy({ ...closed, users: { url: hook.url, timeout } });
    expect(await connectAs(proxy, "ann", "secret")).not.toStartWith("200");
    const record = await proxy.record();
    expect(record).toMatchObject({ detail: "hook_failed" });
    expect(record["note"]).toContain(`the webhook of users ${why}`);
    expect(proxy.messages.join("\n")).toContain("users webhook");
    expect(`${JSON.stringify(record)} ${proxy.messages.join("\n")}`).not.toContain("secret");
  });

  test("refuses everybody when it cannot be reached, and uses no proxy of the environment", async () => {
    const port = await reserveClosedPort();
    using trap = listenEcho();
    const before = process.env["HTTP_PROXY"];
    process.env["HTTP_PROXY"] = process.env["http_proxy"] = `http://127.0.0.1:${trap.port}`;
    try {
      await using proxy = await startProxy({ ...closed, users: { url: `http://127.0.0.1:${port}/` } });
      await connectAs(proxy, "ann", "secret");
      expect((await proxy.record())["note"]).toContain("the webhook of users cannot be reached: ECONNREFUSED");
    } finally {
      delete process.env["http_proxy"];
      if (before === undefined) delete process.env["HTTP_PROXY"];
      else process.env["HTTP_PROXY"] = before;
    }
  });
});

test.each([
  [{ url: "ftp://a.example" }, "users.url: The address cannot be read"],
  [{ url: "https://ann:pw@a.example" }, "users.url: The address has credentials"],
  [{ url: "https://a.example/?key=pw" }, "users.url: The address has a query"],
  [{ url: "https://a.example", headers: { "content-length": "pw" } }, "The proxy writes this field itself"],
  [{ url: "http://a.example", ca: "ca.pem" }, "users.ca: There is no TLS to check"],
  [{ url: "https://a.example", timeout: "0" }, "users.timeout:"],
  [{ url: "https://a.example", file: "x" }, "There is no such setting"],
])("%j does not start: %s", (users, message) => {
  const checked = checkConfig({ users });
  const told = checked.ok ? "" : checked.problems.map(formatProblem).join("\n");
  expect(told).toContain(message);
  expect(told).not.toContain("pw");
});

test("a header with a value that no field can have does not start", () => {
  const checked = checkConfig({ users: { url: "https://a.example", headers: { "x-key": "a\nb" } } });
  if (!checked.ok) throw new Error("The schema refused it");
  const compiled = compileConfig(checked.value, { files: new Map(), variables: {}, terminal: false, folder: "/" });
  expect(compiled.ok ? [] : compiled.problems.map(formatProblem)).toEqual([
    'users.headers["…"]: The value cannot be sent. It must be up to 8192 printable characters of ASCII.',
  ]);
});

test("check shows no values of fields, and warns of passwords in clear", async () => {
  await using folder = await makeFolder({
    "proxy.config.json": JSON.stringify({ users: { url: "http://a.example/x", headers: { "x-key": "k3y" } } }),
  });
  const io = createFakeIo({ folder: folder.path });
  expect(await runCli(["check"], io)).toBe(0);
  expect(io.printed()).toContain("[redacted]");
  expect(io.printed()).not.toContain("k3y");
  expect(io.told.join("\n")).toContain("users.url: The webhook is asked without TLS");
});
