import { describe, expect } from "bun:test";
import { needs } from "../support/needs.ts";
import { runInNamespace } from "../support/run-in-namespace.ts";
import { runner, type TaskResults } from "../support/run-task-recipes.ts";

const test = needs("unshare", "ip", "mount", "squid", "htpasswd", "microsocks");

describe("docs/recipes.md, as written, with real upstreams", () => {
  test("sends what is outside through the company's proxy, and a client through its exit", async () => {
    const { company, pool } = await runInNamespace<TaskResults>(runner, ["-n", "-m"]);
    expect(company).toEqual({
      outside: { status: "200", by: "corp" },
      inside: { status: "200", by: "direct" },
      withoutPassword: { status: "502", by: "upstream_credentials" },
      squid: [{ user: "edge", target: "site.test:443" }],
    });
    const listExits = (tunnels: readonly { readonly by: string }[]): string[] => [
      ...new Set(tunnels.map(({ by }) => by)),
    ];
    const [home = "", ...none] = listExits(pool.session);
    expect(home).toMatch(/^exits\/10\.0\.0\.[78]:1080$/);
    expect(none).toEqual([]);
    expect(listExits(pool.others).toSorted()).toEqual(["exits/10.0.0.7:1080", "exits/10.0.0.8:1080"]);
    expect(pool.stranger).toEqual({ status: "407", by: "credentials_required" });
    expect(pool.explained).toContain(home.slice("exits/".length));
    expect(listExits(pool.moved)).toEqual(listExits(pool.others).filter((exit) => exit !== home));
  });
});
