/** Writes the pictures of "In the terminal" in docs/operators-view.md: `bun run pictures`. */
import { join } from "node:path";
import { drawScreenSvg } from "./draw-screen-svg.ts";
import { FAKE_TOKEN, fakeStatus, makeRow, startFakeSidecar } from "./fake-sidecar.ts";
import { runProgram } from "./program.ts";
import { startOnTerminal } from "./terminal-program.ts";
import { waitFor } from "./wait-for.ts";

const root = join(import.meta.dir, "../..");
const page = join(root, "docs/operators-view.md");
const command = [process.execPath, join(root, "src/main.ts")];

const users = ["alice", "bob", "ci", "deploy", "日本語"];
const hosts = ["registry.npmjs.org", "github.com", "deb.debian.org", "api.example.org", "objects.example.net"];
const rows = Array.from({ length: 24 }, (_, at) =>
  makeRow(`k3v9q1-${at + 1}`, {
    user: users[at % users.length] ?? "",
    target: `${hosts[(at * 3) % hosts.length]}:443`,
    route: at % 4 === 0 ? "corp" : "direct",
    client: `10.0.0.${at + 9}:${50_000 + at}`,
    age_ms: (at + 1) ** 3 * 900,
    bytes_up: at * 15_000,
    bytes_down: at * 3_100_000,
  }),
);
const wave = (at: number): number => 1 + Math.sin(at / 9) * 0.6 + Math.sin(at / 4) * 0.3;
const curve = (most: number): number[] => Array.from({ length: 120 }, (_, at) => Math.round((most / 2) * wave(at)));

using sidecar = startFakeSidecar(rows);
sidecar.status = {
  ...fakeStatus,
  connections: 31,
  tunnels: rows.length,
  requests: 2,
  rate: { up: 410_000, down: 24_100_000 },
  certificates: [{ name: "proxy.example.org", days: 61 }],
};
sidecar.series = { ...sidecar.series, up: curve(800_000), down: curve(40_000_000) };
const env = { PENSTOCK_SIDECAR_TOKEN: FAKE_TOKEN, TZ: "UTC" };

const status = await runProgram([...command, "status", "--sidecar", sidecar.url], { cwd: root, env });

await using top = startOnTerminal([...command, "top", "--sidecar", sidecar.url], { columns: 80, rows: 24, env });
await waitFor(() => sidecar.watchers() === 1, "the watcher");
const point = {
  ...{ at: 0, up: 410_000, down: 24_100_000, connects: 4, requests: 9, refused: 0, connections: 31 },
  ...{ tunnels: rows.length, dial_p50_ms: 12, dial_p99_ms: 80 },
};
sidecar.tell("state", { v: 1, step: 1, point, total: rows.length, rows });
const move = rows.slice(0, 12).map(({ id, bytes_up: up, bytes_down: down }, at) => {
  const share = 1 / (at + 1.5);
  return [id, Math.round(up + 120_000 * share), Math.round(down + 9_000_000 * share)];
});
sidecar.tell("tick", { step: 2, points: [point], total: rows.length, add: [], move, gone: [] });
await top.untilShown(/\d MB .*\d MB/);
const text = top.screen.lines.join("\n");
await Bun.write(join(root, "docs/top.svg"), drawScreenSvg(top.screen, "penstock top in a terminal of 80 columns"));
top.type("q");
await top.exited;

/** Replaces the block of code that follows a mark. */
function replaceBlock(written: string, mark: string, content: string): string {
  const start = written.indexOf(`<!-- ${mark} -->`);
  const from = written.indexOf("```", start);
  const to = written.indexOf("```", from + 3);
  if (start < 0 || from < 0 || to < 0) throw new Error(`docs/operators-view.md has no block of ${mark}.`);
  return `${written.slice(0, from)}\`\`\`text\n${content.trimEnd()}\n${written.slice(to)}`;
}

const before = await Bun.file(page).text();
await Bun.write(page, replaceBlock(replaceBlock(before, "status", status.stdout), "top", text));
