import { describe, expect, test } from "bun:test";
import { basic, startProxy } from "../support/proxy.ts";

describe("a function of the configuration that fails", () => {
  test("denies; the client learns that it failed, the operator with what, once in a while", async () => {
    await using proxy = await startProxy({
      rules: [
        () => {
          throw new Error("cannot reach https://edge:pw-of-db@rules.test/");
        },
      ],
    });
    for (let count = 0; count < 5; count += 1) {
      const { head } = await proxy.tunnel("203.0.113.1:443");
      expect(head).toStartWith("HTTP/1.1 403 ");
      expect(head).toContain("hook_failed");
      expect(head).toContain("rule-1 threw");
      expect(head).not.toContain("rules.test");
    }
    const told = proxy.messages.filter((message) => message.includes("rule-1"));
    expect(told).toHaveLength(1);
    expect(told[0]).toContain("Error: cannot reach https://[redacted]@rules.test/ (at ");
    expect(told[0]).toContain("failing-hooks.test.ts:");
    expect(JSON.stringify(proxy.records)).not.toContain("rules.test");
  });

  test("says nothing of the password that it was asked about", async () => {
    await using proxy = await startProxy({
      users: (name, password) => {
        throw new Error(`${name} with ${password}`);
      },
    });
    const { head } = await proxy.tunnel("203.0.113.1:443", basic("alice", "hunter2"));
    expect(head).toStartWith("HTTP/1.1 403 ");
    expect(head).not.toContain("alice");
    expect(proxy.messages.join("\n")).toContain("The users function threw Error: alice with [redacted]");
    expect(`${proxy.messages.join("\n")}${JSON.stringify(proxy.records)}`).not.toContain("hunter2");
  });
});
