import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type Endpoint, parseAuthority } from "../../../src/address/endpoint.ts";
import { ApprovalsFile } from "../../../src/approvals/approvals-file.ts";
import { parseTargetPattern } from "../../../src/config/target-pattern.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

function endpoint(text: string): Endpoint {
  const parsed = parseAuthority(text);
  if (!parsed.ok) throw new Error(text);
  return parsed.endpoint;
}

function open(path: string) {
  return new ApprovalsFile({
    path: () => path,
    readEntry(entry) {
      const read = parseTargetPattern(entry);
      return read.ok ? read.value : read.reason;
    },
    tell() {},
  });
}

describe("the file of what is always allowed", () => {
  test("gets the targets that come during a write together, in their order", async () => {
    await using folder = await makeFolder();
    const file = open(join(folder.path, "allowed.txt"));
    const targets = Array.from({ length: 60 }, (_, at) => `host${at}.example:443`);
    const writes = [file.add(endpoint(targets[0] ?? ""), "first")];
    // It begins.
    await Promise.resolve();
    for (const target of targets.slice(1)) writes.push(file.add(endpoint(target), "later"));
    expect(new Set(writes).size).toBe(2);
    expect(new Set(await Promise.all(writes))).toEqual(new Set([undefined]));
    const lines = (await folder.read("allowed.txt")).split("\n").slice(1, -1);
    expect(lines.map((line) => line.split("  # ")[0])).toEqual(targets);
    expect(targets.every((target) => file.has(endpoint(target)))).toBe(true);
  });
});
