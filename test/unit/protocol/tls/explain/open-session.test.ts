import { describe, expect, test } from "bun:test";
import { findSecrets } from "../../../../../src/protocol/tls/explain/open-session.ts";

const random = new Uint8Array(32).fill(0xab);
const hex = random.toHex();

describe("findSecrets()", () => {
  test("gives the secrets of one connection by their labels", () => {
    const log = `# a comment\nCLIENT_RANDOM ${hex} 0102\r\nCLIENT_TRAFFIC_SECRET_0 ${hex.toUpperCase()} ff\n`;
    expect([...findSecrets(log, random)]).toEqual([
      ["CLIENT_RANDOM", Uint8Array.of(1, 2)],
      ["CLIENT_TRAFFIC_SECRET_0", Uint8Array.of(255)],
    ]);
  });

  test.each([
    ["other connections", `CLIENT_RANDOM ${"00".repeat(32)} 0102`],
    ["half a byte", `CLIENT_RANDOM ${hex} 012`],
    ["a short random", `CLIENT_RANDOM ${hex.slice(2)} 0102`],
    ["what is no line of a key log", "hello"],
    ["nothing", ""],
  ])("passes over %s", (_, log) => {
    expect(findSecrets(log, random).size).toBe(0);
  });
});
