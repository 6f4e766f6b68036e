import { describe, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { findExecutable } from "../support/build-executable.ts";
import { FAKE_TOKEN, type FakeSidecar, makeRow, startFakeSidecar } from "../support/fake-sidecar.ts";
import { startOnTerminal, type TerminalProgram } from "../support/terminal-program.ts";
import { waitFor } from "../support/wait-for.ts";

const TIMEOUT_MS = 180_000;

/** `penstock top` in a shell that says how it ended, and how it left the terminal. */
async function startTop(
  fake: FakeSidecar,
  { args = [], env = {} }: { args?: readonly string[]; env?: Record<string, string> } = {},
): Promise<TerminalProgram & { readonly top: () => Promise<number> }> {
  const shell = ["sh", "-c", 'stty -a >&2; "$@"; echo "ended with $?"; stty -a', "sh"];
  const command = [...shell, await findExecutable(), "top", "--sidecar", fake.url, ...args];
  const program = startOnTerminal(command, { env: { PENSTOCK_SIDECAR_TOKEN: FAKE_TOKEN, ...env } });
  await waitFor(() => fake.watchers() === 1, "the watcher");
  fake.tell("state", { v: 1, step: 1, point, total: fake.rows.length, rows: fake.rows });
  await program.untilShown(/^tunnels 1,234 /);
  const top = async (): Promise<number> => {
    const { pid } = program;
    const [child = ""] = (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).trim().split(" ");
    return Number(child);
  };
  return { ...program, top };
}

const point = {
  at: 0,
  up: 1_200_000,
  down: 34_500_000,
  connects: 45,
  requests: 3,
  refused: 1,
  connections: 1250,
  tunnels: 1234,
  dial_p50_ms: 1,
  dial_p99_ms: 2,
};

const rows = () => [
  makeRow("a-1", { target: "one.example:443" }),
  makeRow("a-2", { user: "bob", target: "two.example:443" }),
  makeRow("a-3", { user: "x\u001b[2J日本語", target: "three.example:443" }),
];

function tick(fake: FakeSidecar, more: object): void {
  fake.tell("tick", { step: 2, points: [point], total: fake.rows.length, add: [], move: [], gone: [], ...more });
}

/** The settings of a terminal that `stty -a` shows, without its size. */
function readSettings(output: string): string[] {
  return output.match(/^intr =[^]*?echoctl.*$/gm)?.map((each) => each.replaceAll("\r", "")) ?? [];
}

/** Waits for the end, and finds the terminal as it was before. */
async function expectRestored(program: TerminalProgram, code = 0): Promise<void> {
  await program.exited;
  expect(program.output()).toContain(`ended with ${code}`);
  expect([...program.screen.modes].sort()).toEqual(["?25", "?7"]);
  const [before = "", after] = readSettings(program.output());
  expect(before).toContain("icanon");
  expect(after).toBe(before);
}

describe("penstock top", () => {
  test(
    "shows the figures of the sidecar, follows keys, and ends a tunnel after asking",
    async () => {
      using fake = startFakeSidecar(rows());
      await using program = await startTop(fake);
      const { screen } = program;
      expect(screen.modes.has("?1049")).toBe(true);
      expect(screen.lines[1]).toBe("tunnels 1,234  connections 1,250  opened 45/s  requests 3/s  refused 1/s");
      tick(fake, { move: [["a-2", 501_000, 2000]] });
      await program.untilShown(/^bob +two\.example:443 +direct +\S+ +500\.0 kB +0 B +503\.0 kB$/);
      expect(screen.lines[6]).toStartWith("bob ");
      expect(screen.lines[2]).toStartWith("up     1.2 MB/s ");
      expect(screen.lines[3]).toStartWith("down  34.5 MB/s ");
      program.type("/alice\r");
      await program.untilShown(/^1 of 3 · by rate · filter: alice$/);
      program.type("\u001b");
      await program.untilShown(/^3 of 3 · by rate$/);
      // "user" is the third after "rate": alice, bob, and the others.
      program.type("sss");
      await program.untilShown(/^3 of 3 · by user$/);
      expect(screen.lines.slice(6, 9).map((line) => line.slice(0, 3))).toEqual(["ali", "bob", "x\\u"]);
      program.type("\u001b[B\u001b[B");
      program.type("k");
      await program.untilShown(/^End a-3 of x\\u001b\[2J日本語 to three\.example:443\? Press y or n\.$/);
      expect(fake.killed).toEqual([]);
      program.type("y");
      await program.untilShown(/^1 ended\.$/);
      expect(fake.killed).toEqual([{ id: "a-3" }]);
      program.type("\u001b[A\r");
      await program.untilShown(/^tunnel a-2$/);
      await program.untilShown(/^stages +dial 12 ms$/);
      program.type("x?");
      await program.untilShown(/^K +end all rows of its user, after asking$/);
      program.type("xq");
      await expectRestored(program);
      expect(screen.unknown).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    "adapts to the size of the terminal",
    async () => {
      using fake = startFakeSidecar(rows());
      await using program = await startTop(fake);
      expect(program.screen.lines[5]).not.toContain("CLIENT");
      program.resize(150, 30);
      await program.untilShown(/^USER +TARGET.* CLIENT +SNI +AGE/);
      await waitFor(() => program.screen.lines[29]?.startsWith("q quit"), "the help line at the bottom");
      program.resize(80, 10);
      await waitFor(() => program.screen.lines[9]?.startsWith("q quit"), "the help line at the bottom");
      expect(program.screen.lines[5]).not.toContain("CLIENT");
      program.type("q");
      await expectRestored(program);
    },
    TIMEOUT_MS,
  );

  test.each(["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const)(
    "gives the terminal back after %s",
    async (signal) => {
      using fake = startFakeSidecar(rows());
      await using program = await startTop(fake);
      process.kill(await program.top(), signal);
      await expectRestored(program);
    },
    TIMEOUT_MS,
  );

  test(
    "gives the terminal back after Ctrl-C, and when the sidecar refuses to go on",
    async () => {
      using fake = startFakeSidecar(rows());
      await using program = await startTop(fake);
      program.type("\u0003");
      await expectRestored(program);
      await using other = await startTop(fake);
      fake.tell("tick", { step: "of another version" });
      await expectRestored(other, 1);
      expect(other.output()).toContain("The sidecar tells /live in another form: it may be of another version.");
    },
    TIMEOUT_MS,
  );

  test(
    "gives the terminal back while it is stopped, and takes it again",
    async () => {
      using fake = startFakeSidecar(rows());
      await using program = await startTop(fake);
      const top = await program.top();
      const state = async (): Promise<string> =>
        /^State:\t(\w)/m.exec(await readFile(`/proc/${top}/status`, "utf8"))?.[1] ?? "";
      program.type("\u001a");
      await waitFor(async () => (await state()) === "T", "the stop");
      await waitFor(() => !program.screen.modes.has("?1049"), "the screen of the shell");
      process.kill(top, "SIGCONT");
      await waitFor(() => program.screen.modes.has("?1049"), "its own screen");
      await program.untilShown(/^USER /);
      program.type("q");
      await expectRestored(program);
    },
    TIMEOUT_MS,
  );

  test(
    "says that the connection is over, tries again, and goes on",
    async () => {
      using fake = startFakeSidecar(rows());
      await using program = await startTop(fake, { env: { NO_COLOR: "1" } });
      fake.hangUp();
      await program.untilShown(/^The connection to the sidecar is over\. Trying again\.$/);
      await waitFor(() => fake.watchers() === 1, "the next connection");
      fake.tell("state", { v: 1, step: 9, point, total: 3, rows: fake.rows });
      await program.untilShown(/^3 of 3 · by rate$/);
      program.type("q");
      await expectRestored(program);
      expect(program.output()).not.toMatch(/\[(?:\d+;)*3\d/);
    },
    TIMEOUT_MS,
  );
});
