import { describe, expect, test } from "bun:test";
import { join, resolve } from "node:path";

const source = resolve(import.meta.dir, "../../../src");

/** What not every platform has, and the files that may use it because they do without it elsewhere. */
const kinds: readonly { readonly what: string; readonly pattern: RegExp; readonly files: readonly string[] }[] = [
  {
    what: "calls of the C library",
    pattern: /from "bun:ffi"/,
    // libc.ts opens it on Linux alone; the deadline tries each system's name for it.
    files: ["net/libc/descriptor-message.ts", "net/libc/libc.ts", "net/process-deadline.ts"],
  },
  {
    what: "files that the kernel of Linux makes",
    pattern: /["`]\/(?:proc|sys|dev)\//,
    // Each has a catch, and an answer without the file.
    files: [
      "cli/upgrade-handover.ts",
      "handover/container-end.ts",
      "net/epoll/runtime-loop.ts",
      "net/libc/descriptor-writer.ts",
      "sidecar/process-families.ts",
    ],
  },
  {
    what: "files of a Unix system that are read",
    pattern: /["`]\/etc\/(?:hosts|resolv\.conf|nsswitch\.conf|passwd|ssl)/,
    files: ["net/dns/system-names.ts"],
  },
  {
    what: "users and groups, as if every system had them",
    pattern: /process\.(?:get|gete|set|sete)[ug]id\(|process\.(?:initgroups|setgroups|execve)\b/,
    files: [],
  },
  {
    what: "signals that stop a program, or reach its group",
    pattern: /process\.kill\(process\.pid|process\.kill\(-/,
    files: ["cli/process-screen.ts", "upgrade/try-executable.ts"],
  },
];

function findUses(files: ReadonlyMap<string, string>, pattern: RegExp): string[] {
  return [...files].filter(([, text]) => pattern.test(text)).map(([name]) => name);
}

async function readSource(): Promise<ReadonlyMap<string, string>> {
  const names = (await Array.fromAsync(new Bun.Glob("**/*.{ts,tsx}").scan(source))).toSorted();
  return new Map(
    await Promise.all(names.map(async (name) => [name, await Bun.file(join(source, name)).text()] as const)),
  );
}

describe("what is of Linux or of Unix alone", () => {
  test.each(kinds)("$what: only where there is another way for other platforms", async ({ pattern, files }) => {
    expect(findUses(await readSource(), pattern)).toEqual([...files]);
  });

  test("is found where it is planted", () => {
    const planted = [
      'import { dlopen } from "bun:ffi";',
      "readFileSync(`/proc/${pid}/stat`);",
      'readFileSync("/etc/hosts");',
      "const user = process.geteuid();",
      'process.kill(process.pid, "SIGSTOP");',
    ];
    expect(kinds.map(({ pattern }) => planted.filter((line) => pattern.test(line)))).toEqual(
      planted.map((line) => [line]),
    );
    // Where there is no such call its result is undefined.
    expect(kinds.flatMap(({ pattern }) => findUses(new Map([["a.ts", "process.geteuid?.()"]]), pattern))).toEqual([]);
  });
});
