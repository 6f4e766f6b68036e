import { describe, expect, test } from "bun:test";
import type { ControlPort } from "../../../src/sidecar/control-port.ts";
import { createSidecarApp } from "../../../src/sidecar/sidecar-app.ts";
import type { SidecarToken } from "../../../src/sidecar/guard.ts";
import { grant, grantAll } from "../../support/sidecar-tokens.ts";

/** A daemon that does everything, and notes what it did. */
function makePort(done: string[]): ControlPort {
  return {
    readiness: () => ({ ready: true }),
    effectiveConfig: () => ({}),
    metricsText: () => "",
    tunnels: () => [],
    kill: () => done.push("kill"),
    reload: async () => (done.push("reload"), { kind: "done", changes: [], warnings: [] }),
    handOver: async () => (done.push("handover"), { kind: "refused", reason: "Not now." }),
    captures: { start: () => void done.push("capture"), stop: () => done.push("stop") > 0 },
    upstreams: {
      list: () => [],
      disable: () => done.push("disable") > 0,
      choose: () => [],
    },
    explain: async () => (done.push("explain"), { kind: "wrong", reason: "No." }),
    drain: {
      begin: () => (done.push("drain"), { ok: false, reason: "Not now." }),
      cancel: () => (done.push("cancel"), { ok: true }),
      yieldAddress: () => done.push("yield") > 0,
    },
  };
}

const tokens = [
  ...grantAll("all"),
  grant("r", "read"),
  grant("o", "operate"),
  grant("c", "capture"),
  grant("rc", "read", "capture"),
];

function makeApp(list: readonly SidecarToken[] = tokens) {
  const done: string[] = [];
  const app = createSidecarApp(makePort(done), { tokens: list });
  const ask = (method: string, path: string, token?: string) =>
    app.request(path, { method, headers: token === undefined ? {} : { Authorization: `Bearer ${token}` } });
  return { ask, done };
}

test("a token is told what it may do, and which it is", async () => {
  const { ask } = makeApp();
  const tell = async (token: string): Promise<unknown> => (await ask("GET", "/token", token)).json();
  expect(await tell("all")).toEqual({ may: ["read", "operate", "capture"] });
  expect(await tell("rc")).toEqual({ name: "rc", may: ["read", "capture"] });
  expect(await tell("o")).toEqual({ name: "o", may: ["operate"] });
  expect((await ask("GET", "/token", "wrong")).status).toBe(401);
  expect((await ask("GET", "/token")).status).toBe(401);
  expect((await makeApp([]).ask("GET", "/token", "all")).status).toBe(403);
});

const routes = [
  ["GET", "/config", "read"],
  ["GET", "/metrics", "read"],
  ["GET", "/tunnels", "read"],
  ["GET", "/explain?target=a", "read"],
  ["GET", "/upstreams", "read"],
  ["GET", "/upstreams/pool", "read"],
  ["GET", "/upstreams/pool/choice?host=a", "read"],
  ["DELETE", "/tunnels?user=alice", "operate"],
  ["DELETE", "/tunnels/a-1", "operate"],
  ["POST", "/upstreams/pool/member/disable", "operate"],
  ["POST", "/upstreams/pool/member/enable", "operate"],
  ["POST", "/reload", "operate"],
  ["POST", "/handover", "operate"],
  ["POST", "/drain", "operate"],
  ["DELETE", "/drain", "operate"],
  ["POST", "/drain/successor", "operate"],
  ["GET", "/capture", "capture"],
  ["HEAD", "/capture", "capture"],
  ["DELETE", "/capture/1", "capture"],
] as const;

describe("the roles of tokens", () => {
  test.each(routes)("%s %s needs a token that may %s", async (method, path, permission) => {
    for (const { name, may } of tokens) {
      const { ask, done } = makeApp();
      const { status, headers } = await ask(method, path, name ?? "all");
      expect([name, status === 403]).toEqual([name, !may.has(permission)]);
      if (status !== 403) continue;
      expect(headers.get("WWW-Authenticate")).toBe(
        `Bearer realm="penstock sidecar", error="insufficient_scope", scope="${permission}"`,
      );
      expect(done).toEqual([]);
    }
  });

  test("are told to the holder of a token that may not do it", async () => {
    const response = await makeApp().ask("POST", "/reload", "rc");
    expect(await response.json()).toEqual({
      type: "about:blank",
      title: "Forbidden",
      status: 403,
      detail: 'The token "rc" may read and capture. This needs one that may operate: see "may" in "sidecar.tokens".',
    });
  });

  test.each(routes)("open %s %s to no token that is not one of them", async (method, path) => {
    const { ask, done } = makeApp();
    for (const wrong of ["x", "al", "alll", "r o", "rco"]) expect((await ask(method, path, wrong)).status).toBe(401);
    expect((await ask(method, path)).status).toBe(401);
    expect(done).toEqual([]);
  });

  test("hold without a token that may do everything", async () => {
    const { ask } = makeApp([grant("r", "read")]);
    expect((await ask("GET", "/config", "r")).status).toBe(200);
    expect((await ask("POST", "/reload", "r")).status).toBe(403);
    expect((await ask("GET", "/config", "all")).status).toBe(401);
  });

  test("leave the address to a successor that has no token to operate with, when there is none", async () => {
    const { ask, done } = makeApp([grant("r", "read")]);
    expect((await ask("POST", "/drain/successor")).status).toBe(401);
    expect((await ask("POST", "/drain/successor", "r")).status).toBe(204);
    expect(done).toEqual(["yield"]);
  });
});
