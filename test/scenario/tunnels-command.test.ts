import { describe, expect, test } from "bun:test";
import { runCli } from "../../src/cli/run-cli.ts";
import { FAKE_TOKEN, type FakeSidecar, fakeStatus, makeRow, startFakeSidecar } from "../support/fake-sidecar.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { startProxy, waitFor } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";

async function run(sidecar: string, argv: readonly string[], parts: Parameters<typeof createFakeIo>[0] = {}) {
  const io = createFakeIo({ variables: { PENSTOCK_SIDECAR_TOKEN: FAKE_TOKEN }, ...parts });
  return { code: await runCli([...argv, "--sidecar", sidecar], io), printed: io.printed(), told: io.told };
}

const left = (fake: FakeSidecar): string[] => fake.rows.map(({ id }) => id);
const three = () => [makeRow("a-1"), makeRow("a-2", { user: "bob" }), makeRow("a-3")];

describe("penstock tunnels", () => {
  test("lists those that match, as a table and as JSON", async () => {
    using fake = startFakeSidecar(three());
    const all = await run(fake.url, ["tunnels"]);
    expect(all).toMatchObject({ code: 0, told: [] });
    expect(all.printed.match(/^a-\d/gm)).toEqual(["a-1", "a-2", "a-3"]);
    expect((await run(fake.url, ["tunnels", "--user", "bob"])).printed.match(/^a-\d/gm)).toEqual(["a-2"]);
    const some = await run(fake.url, ["tunnels", "a-3", "a-1", "--json"]);
    expect(JSON.parse(some.printed)).toMatchObject({ tunnels: [{ id: "a-1" }, { id: "a-3" }] });
    const none = await run(fake.url, ["tunnels", "--user", "nobody"]);
    expect(none).toEqual({ code: 0, printed: "", told: ["There are no tunnels that match."] });
    const missing = await run(fake.url, ["tunnels", "a-9"]);
    expect(missing).toEqual({ code: 1, printed: "", told: ['There is no tunnel "a-9".'] });
  });

  test("ends those that are named, after asking", async () => {
    using fake = startFakeSidecar(three());
    const no = await run(fake.url, ["tunnels", "--kill", "a-1"], { answers: ["n"] });
    expect(no).toMatchObject({ code: 1, printed: "" });
    expect(no.told.slice(-2)).toEqual(["End it? [y/N] ", "Nothing was ended."]);
    expect(no.told[1]).toStartWith("a-1 ");
    expect((await run(fake.url, ["tunnels", "--kill", "a-1"])).code).toBe(1);
    expect(left(fake)).toHaveLength(3);
    const yes = await run(fake.url, ["tunnels", "--kill", "a-1", "a-3"], { answers: ["y"] });
    expect(yes).toMatchObject({ code: 0 });
    expect(yes.told.slice(-2)).toEqual(["End all 2? [y/N] ", "2 ended."]);
    expect(left(fake)).toEqual(["a-2"]);
  });

  test("ends only those of the named that match the filters", async () => {
    using fake = startFakeSidecar(three());
    const ended = await run(fake.url, ["tunnels", "--user", "bob", "--kill", "a-1", "--kill", "a-2", "--yes"]);
    expect(ended).toEqual({ code: 1, printed: "", told: ["1 ended.", 'There is no tunnel "a-1".'] });
    expect(left(fake)).toEqual(["a-1", "a-3"]);
  });

  test("ends all of a user in one request, and all there are one by one", async () => {
    using fake = startFakeSidecar(three());
    const ofAlice = await run(fake.url, ["tunnels", "--user", "alice", "--all", "--yes", "--json"], {
      interactive: false,
    });
    expect(JSON.parse(ofAlice.printed)).toEqual({ ended: 2, over: 0, missing: [] });
    expect(fake.killed).toEqual([{ user: "alice" }]);
    fake.rows = Array.from({ length: 100 }, (_, at) => makeRow(`b-${at}`));
    const all = await run(fake.url, ["tunnels", "--all"], { answers: ["yes"] });
    expect(all.told.slice(-3)).toEqual(["and 90 more.", "End all 100? [y/N] ", "100 ended."]);
    expect(left(fake)).toEqual([]);
    expect((await run(fake.url, ["tunnels", "--all", "-y"])).told).toEqual(["0 ended."]);
  });

  test.each([
    [["--all"], "There is nobody to ask. Add --yes to end them without asking."],
    [["--kill", "a-1"], "There is nobody to ask. Add --yes to end them without asking."],
    [["--all", "--kill", "a-1", "--yes"], "Found ids and --all. Leave one of them out."],
    [["--yes"], "Found --yes without --kill or --all."],
    [
      ["--target", "a b"],
      'The sidecar refused (400): "a b" is no host. Write example.org, example.org:443 or *.example.org.',
    ],
  ])("with %j ends nothing, and says why", async (args, expected) => {
    using fake = startFakeSidecar(three());
    const refused = await run(fake.url, ["tunnels", ...args], { interactive: false });
    expect(refused).toEqual({ code: 2, printed: "", told: [expected] });
    expect(left(fake)).toHaveLength(3);
  });

  test("shows and ends tunnels of a proxy that runs", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy();
    const target = `127.0.0.1:${echo.port}`;
    const { peer } = await proxy.tunnel(target);
    const variables = { PENSTOCK_SIDECAR_TOKEN: "scenario-token" };
    const sidecar = `127.0.0.1:${proxy.daemon.sidecar?.port}`;
    const listed = await run(sidecar, ["tunnels", "--target", target, "--json"], { variables });
    const parsed: { tunnels: { id: string; target: string }[] } = JSON.parse(listed.printed);
    expect(parsed.tunnels.map((each) => each.target)).toEqual([target]);
    const ended = await run(sidecar, ["tunnels", "--kill", parsed.tunnels[0]?.id ?? "", "--yes"], { variables });
    expect(ended.told).toEqual(["1 ended."]);
    await peer.untilEnd();
    expect(await proxy.record(0)).toMatchObject({ end: "killed" });
    const none = await run(sidecar, ["tunnels"], { variables });
    expect(none.told).toEqual(["There are no tunnels."]);
  });
});

describe("penstock status", () => {
  test("prints a screen, or the JSON of the sidecar", async () => {
    using fake = startFakeSidecar();
    const screen = await run(fake.url, ["status"]);
    expect(screen.printed).toStartWith("Penstock 1.2.3  serving, ready, for 3h12m (process 4242)\n");
    expect(screen.printed).toMatch(/^15 min, up .*most 2\.0 kB\/s$/m);
    expect(JSON.parse((await run(fake.url, ["status", "--json"])).printed)).toEqual(fakeStatus);
  });

  test("says so when the sidecar is of another version, or refuses", async () => {
    using fake = startFakeSidecar();
    Object.assign(fake, { status: { version: "9" } });
    expect((await run(fake.url, ["status"])).told[0]).toStartWith("The sidecar answered /status in another form (pid)");
    const variables = { PENSTOCK_SIDECAR_TOKEN: "wrong" };
    expect(await run(fake.url, ["status"], { variables })).toMatchObject({
      code: 1,
      told: [expect.stringContaining("The sidecar refused (401): ")],
    });
  });
});

describe("penstock top without a terminal", () => {
  test("says that there is none", async () => {
    using fake = startFakeSidecar();
    const told = ['There is no terminal to draw on. "penstock top --json" and "penstock status" need none.'];
    expect(await run(fake.url, ["top"])).toEqual({ code: 2, printed: "", told });
    expect((await run(fake.url, ["top"], { terminal: true, interactive: false })).told).toEqual(told);
    expect((await run(fake.url, ["top", "--sort", "size", "--json"])).code).toBe(2);
    expect((await run(fake.url, ["top", "--rows", "5001", "--json"])).code).toBe(2);
  });

  test("prints a line of JSON for each second until a signal", async () => {
    using fake = startFakeSidecar(three());
    const io = createFakeIo({ variables: { PENSTOCK_SIDECAR_TOKEN: FAKE_TOKEN } });
    const code = runCli(["top", "--json", "--rows", "1", "--sort", "total", "--sidecar", fake.url], io);
    await waitFor(() => fake.watchers() === 1, "the watcher");
    const point = { at: 0, up: 5, down: 7, connects: 1, requests: 0, refused: 0, connections: 3, tunnels: 3 };
    const points = [{ ...point, dial_p50_ms: null, dial_p99_ms: null }];
    fake.tell("state", { v: 1, step: 1, point: null, total: 3, rows: fake.rows });
    fake.tell("tick", { step: 2, points, total: 3, add: [], move: [["a-2", 1500, 9000]], gone: [] });
    await waitFor(() => io.printed() !== "", "a line");
    expect(JSON.parse(io.printed())).toMatchObject({
      time: "1970-01-01T00:00:00.000Z",
      up: 5,
      down: 7,
      total: 3,
      rows: [{ id: "a-2", bytes_down: 9000, rate: { up: 500, down: 7000 } }],
    });
    fake.hangUp();
    await io.untilTold("The connection to the sidecar is over. Trying again.");
    await waitFor(() => fake.watchers() === 1, "the next watcher");
    io.signal("SIGINT");
    expect(await code).toBe(0);
  });

  test("ends when nobody reads its lines any more", async () => {
    using fake = startFakeSidecar();
    const io = createFakeIo({ variables: { PENSTOCK_SIDECAR_TOKEN: FAKE_TOKEN }, print: () => Promise.resolve(false) });
    const code = runCli(["top", "--json", "--sidecar", fake.url], io);
    await waitFor(() => fake.watchers() === 1, "the watcher");
    const figures = { up: 0, down: 0, connects: 0, requests: 0, refused: 0, connections: 0, tunnels: 0 };
    const points = [{ at: 0, ...figures, dial_p50_ms: null, dial_p99_ms: null }];
    fake.tell("tick", { step: 2, points, total: 0, add: [], move: [], gone: [] });
    expect(await code).toBe(0);
  });
});
