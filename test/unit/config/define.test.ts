import { describe, expect, test } from "bun:test";

import { type ChooseWay, type DecideTarget, defineConfig, env, type PenstockConfig, type VerifyUser } from "penstock";

import { checkConfig } from "../../../src/config/check.ts";

describe("defineConfig()", () => {
  test("gives back what it is given", () => {
    const config: PenstockConfig = { open: true };
    expect(defineConfig(config)).toBe(config);
  });

  test("knows the types of every function without being told", () => {
    const config = defineConfig({
      users: async (name, password) => name.length === password.length,
      rules: [
        { to: ["*.example.org"], via: (query) => (query.port === 443 ? "corp" : ["corp", "exit"]) },
        (query) => (query.host.endsWith(".test") && query.user === undefined ? { deny: true } : undefined),
        async ({ client }) => ({ allow: true, allowPrivate: client === "127.0.0.1", via: "direct" }),
      ],
      upstreams: { corp: { url: "http://corp:3128", username: "u", password: env("P") }, exit: "socks5h://exit" },
    });
    expect(checkConfig(config)).toMatchObject({ ok: true });
  });

  test("takes functions that are typed by name", () => {
    const users: VerifyUser = (name) => name === "a";
    const rule: DecideTarget = () => undefined;
    const via: ChooseWay = () => Promise.resolve("direct");
    expect(checkConfig(defineConfig({ users, rules: [rule, { via }] }))).toMatchObject({ ok: true });
  });
});

test("env() refers to a variable and reads nothing", () => {
  expect(env("NOT_SET")).toEqual({ env: "NOT_SET" });
});
