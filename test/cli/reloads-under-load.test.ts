import { expect, test } from "bun:test";
import { runReloads } from "../bench/reloads/run-reloads.ts";

test.skipIf(process.platform !== "linux")(
  "no connection fails and no tunnel is lost while the configuration changes under load",
  async () => {
    const report = await runReloads({
      reloads: 20,
      handovers: 2,
      everyMs: 150,
      connectsPerSecond: 40,
      tlsEach: 5,
      forwarders: 4,
      tunnels: { lanes: 12, relay: 6, tls: 6 },
      laneBytes: 262_144,
    });
    const { clients, changes, streams, inLanes, mistakes } = report;
    const failed = { ...clients.connects.failed, ...clients.forwards.failed };
    const troubles = Object.entries(changes).flatMap(([kind, tally]) =>
      Object.keys(tally.failed).map((what) => `${kind}: ${what}`),
    );
    expect({ failed, troubles, mistakes, streams, inLanes }).toEqual({
      failed: {},
      troubles: [],
      mistakes: [],
      streams: { whole: 24, wrong: 0, reset: 0 },
      inLanes: 12,
    });
    expect([report.failures, report.lost]).toEqual([0, 0]);
    expect(clients.connects.done).toBeGreaterThan(0);
    expect(clients.forwards.done).toBeGreaterThan(0);
    const done = Object.fromEntries(Object.entries(changes).map(([kind, tally]) => [kind, tally.done]));
    expect(done).toEqual({
      rules: 2,
      certificate: 4,
      users: 2,
      listeners: 4,
      broken: 4,
      limits: 2,
      upstreams: 2,
      handover: 2,
    });
  },
  300_000,
);
