import { describe, expect } from "bun:test";
import { nameCases } from "../support/name-cases.ts";
import { nameChanges } from "../support/name-changes.ts";
import { needs } from "../support/needs.ts";
import { type NameResult, runner } from "../support/run-name-cases.ts";

const test = needs("unshare", "ip", "mount", "python3");

/** Runs at once, each with a part of the cases: most of the time they wait for servers that are silent. */
const RUNS = 4;

/** Each run has namespaces of its own, with name servers and files that nobody else sees. */
let running: Promise<ReadonlyMap<string, NameResult>> | undefined;

function runCases(): Promise<ReadonlyMap<string, NameResult>> {
  running ??= Promise.all(Array.from({ length: RUNS }, (_, at) => runPart(at))).then(
    (parts) => new Map(parts.flat().map((result) => [result.title, result])),
  );
  return running;
}

async function runPart(at: number): Promise<NameResult[]> {
  const flags = process.geteuid?.() === 0 ? ["-n", "-m"] : ["-r", "-n", "-m"];
  const command = ["unshare", ...flags, process.execPath, runner, String(at), String(RUNS)];
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "pipe" });
  const [out, told] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0) throw new Error(told);
  return JSON.parse(out) as NameResult[];
}

async function findResult(title: string): Promise<NameResult> {
  const result = (await runCases()).get(title);
  if (result === undefined) throw new Error(`${title} was not tried`);
  return result;
}

/** Milliseconds for the run: silence takes its time, getaddrinfo's most of all. */
const RUN_MS = 300_000;

describe("a name leads where getaddrinfo leads", () => {
  for (const [part, cases] of Object.entries(nameCases)) {
    for (const { title, name, instead, found } of cases) {
      const differs = instead === undefined ? "" : `, but for this: ${instead.why}`;
      test(
        `${part}: ${title}${differs}`,
        async () => {
          const result = await findResult(`${part}: ${title}`);
          expect(result.ours).toEqual([...(instead?.addresses ?? result.theirs)].sort());
          if (instead !== undefined) expect(result.ours).not.toEqual(result.theirs);
          const asAsked = name.toLowerCase().replace(/\.$/, "");
          if (result.ours.length > 0) expect(result.found).toBe(found ?? asAsked);
          if (name.endsWith(".")) for (const asked of result.asked) expect(asked).toStartWith(`${asAsked} `);
        },
        RUN_MS,
      );
    }
  }
});

describe("a resolver that runs notices a change of", () => {
  for (const { title, before, after } of nameChanges) {
    test(
      title,
      async () => {
        const earlier = await findResult(`before a change of ${title}`);
        const later = await findResult(`after a change of ${title}`);
        expect(earlier.ours).toEqual(earlier.theirs);
        expect(later.ours).toEqual(later.theirs);
        expect(later.ours).not.toEqual(earlier.ours);
        if (later.ours.length > 0) expect(later.found).toBe(after.found ?? before.name);
      },
      RUN_MS,
    );
  }
});
