import { describe, expect, test } from "bun:test";

import { compileForTest } from "../../support/compile-for-test.ts";

describe("the effective configuration", () => {
  test("fills in what holds and hides what is secret", () => {
    const { effective } = compileForTest(
      {
        $schema: "x",
        users: [
          { name: "a", password: "hunter2" },
          { name: "b", password: { env: "B" } },
        ],
        upstreams: { p: "http://u:hunter2@h:1", q: { url: "socks5://h", username: "u", password: "hunter2" } },
        rules: [() => undefined, { via: () => "direct" }],
        sidecar: { port: 1, token: "hunter2" },
      },
      { variables: { B: "hunter2" } },
    );
    const text = JSON.stringify(effective);
    expect(text).not.toContain("hunter2");
    expect(effective).toMatchObject({
      listen: [{ host: "127.0.0.1", port: 8080 }],
      users: [
        { name: "a", password: "[redacted]" },
        { name: "b", password: { env: "B" } },
      ],
      upstreams: { p: "http://[redacted]@h:1", q: { password: "[redacted]" } },
      rules: ["[function]", { via: "[function]" }],
      sidecar: { port: 1, token: "[redacted]" },
      default: "direct",
      log: { access: "json" },
    });
    expect(effective).not.toHaveProperty("$schema");
  });

  test("says which way the shorthand makes the default", () => {
    expect(compileForTest({ upstream: "http://h:1" }).effective["default"]).toBe("upstream");
    expect(compileForTest({ upstream: "environment" }).effective["default"]).toBe("environment");
  });
});
