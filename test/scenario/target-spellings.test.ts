import { describe, expect, test } from "bun:test";
import { formatListener } from "../../src/gate/listeners.ts";
import { targets } from "../fixtures/targets.ts";
import { startProxy } from "../support/proxy.ts";
import { listenRaw } from "../support/raw-peer.ts";

/** What the head parser says before anybody looks for a host. */
const HEAD_REFUSALS = new Set([" ", "\r", "\n", "\t", "\0", "\x7f"]);

describe("a target spelling, sent through the real proxy to an upstream that notes what it is asked for", () => {
  test("reaches the upstream in canonical form, or is refused with its word", async () => {
    const asked: string[] = [];
    using upstream = listenRaw((peer) => {
      peer
        .until((each) => each.text.includes("\r\n\r\n"))
        .then(
          () => {
            asked.push(peer.text.split(" ")[1] ?? "");
            peer.write("HTTP/1.1 200 OK\r\n\r\n");
            peer.finish();
          },
          () => {},
        );
    });
    await using proxy = await startProxy({
      rules: [],
      upstream: `http://${formatListener("127.0.0.1", upstream.port)}`,
    });

    for (const row of targets) {
      asked.length = 0;
      const answer = await proxy.exchange(Buffer.from(`CONNECT ${row.target} HTTP/1.0\r\n\r\n`, "latin1"));
      const what = `${JSON.stringify(row.target)} (${row.why}): ${answer.slice(0, 300)}`;
      if ("ok" in row.gets && isLocalhost(row.gets.ok)) {
        expect(`${what} ${answer.slice(9, 12)} ${asked}`).toBe(`${what} 403 `);
        expect(answer).toContain("localhost is loopback");
      } else if ("ok" in row.gets) {
        expect(`${what} ${answer.slice(9, 12)} ${asked}`).toBe(`${what} 200 ${row.gets.ok}`);
      } else {
        expect(`${what} ${asked.length}`).toBe(`${what} 0`);
        expect(answer).toMatch(/^HTTP\/1\.1 (400|403|505) /);
        if (answer.startsWith("HTTP/1.1 403")) expect(answer).toContain(row.gets.refused);
        else if (!isRefusedByHead(row.target)) expect(answer).toContain(row.gets.refused);
      }
    }
  });
});

/** A name that means loopback wherever it is resolved (RFC 6761 §6.3): refused though it is spelled well. */
function isLocalhost(target: string): boolean {
  return /(^|\.)localhost:\d+$/.test(target);
}

/** Whether the request line itself is broken by the target. */
function isRefusedByHead(target: string): boolean {
  return target === "" || [...target].some((char) => HEAD_REFUSALS.has(char) || char < "!");
}
