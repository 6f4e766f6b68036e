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
  const messages: string[] = [];
  const file = new ApprovalsFile({
    path: () => path,
    readEntry(entry) {
      const read = parseTargetPattern(entry);
      return read.ok ? read.value : read.reason;
    },
    tell: (message) => messages.push(message),
  });
  return { file, messages };
}

describe("the file of what is always allowed", () => {
  test("gets the targets that come during a write together, in their order", async () => {
    await using folder = await makeFolder();
    const { file } = open(join(folder.path, "allowed.txt"));
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

  test("says why a target cannot be added to a file with a fault, and leaves the file as it is", async () => {
    const text = "known.example:443\nnot a target at all\n";
    await using folder = await makeFolder({ "allowed.txt": text });
    const path = join(folder.path, "allowed.txt");
    const { file, messages } = open(path);
    expect(await file.add(endpoint("new.example:443"), "x")).toStartWith(`${path} cannot be used: line 2 `);
    expect(await folder.read("allowed.txt")).toBe(text);
    expect(messages).toHaveLength(1);
    await folder.write({ "allowed.txt": "known.example:443" });
    expect(await file.add(endpoint("new.example:443"), "x")).toBeUndefined();
    expect(await folder.read("allowed.txt")).toBe("known.example:443\nnew.example:443  # x\n");
  });

  test("never becomes larger than what can be read", async () => {
    const text = `# ${"x".repeat(4 * 1024 * 1024 - 10)}\n`;
    await using folder = await makeFolder({ "allowed.txt": text });
    const path = join(folder.path, "allowed.txt");
    const { file, messages } = open(path);
    expect(await file.add(endpoint("new.example:443"), "x")).toBe(`${path} would have more than 4194304 bytes`);
    expect(await folder.read("allowed.txt")).toBe(text);
    expect(messages).toEqual([]);
  });
});
