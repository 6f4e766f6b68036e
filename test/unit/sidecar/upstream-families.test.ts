import { expect, test } from "bun:test";
import { formatFamilies } from "../../../src/sidecar/prometheus-text.ts";
import { collectUpstreamFamilies } from "../../../src/sidecar/upstream-families.ts";
import { makeMemberState, makePoolState } from "../../support/make-pool-state.ts";

test("members of pools and plain upstreams are samples by their configured names", () => {
  const text = formatFamilies(
    collectUpstreamFamilies([
      makePoolState(
        "exits",
        [
          makeMemberState("a", {
            connections: 4,
            dialled: 9,
            failed: 2,
            ejections: 1,
            latencyMs: { p50: 2, p99: 50, average: 3 },
          }),
          makeMemberState("b", { health: "disabled", disabled: true }),
          makeMemberState("c", { health: "trial" }),
        ],
        { waiting: 3, sessions: 5 },
      ),
      { name: "corp", kind: "http", address: "192.0.2.1:3128", dialling: 0, dialled: 7, failed: 1 },
    ]),
  );
  const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  expect(samples).toEqual([
    'penstock_upstream_dials_total{upstream="corp",result="ok"} 7',
    'penstock_upstream_dials_total{upstream="corp",result="failed"} 1',
    'penstock_upstream_waiting{upstream="exits"} 3',
    'penstock_upstream_sessions{upstream="exits"} 5',
    'penstock_upstream_member_up{upstream="exits",member="a"} 1',
    'penstock_upstream_member_up{upstream="exits",member="b"} 0',
    'penstock_upstream_member_up{upstream="exits",member="c"} 0',
    'penstock_upstream_member_disabled{upstream="exits",member="a"} 0',
    'penstock_upstream_member_disabled{upstream="exits",member="b"} 1',
    'penstock_upstream_member_disabled{upstream="exits",member="c"} 0',
    'penstock_upstream_member_connections{upstream="exits",member="a"} 4',
    'penstock_upstream_member_connections{upstream="exits",member="b"} 0',
    'penstock_upstream_member_connections{upstream="exits",member="c"} 0',
    'penstock_upstream_member_dials_total{upstream="exits",member="a",result="ok"} 9',
    'penstock_upstream_member_dials_total{upstream="exits",member="a",result="failed"} 2',
    'penstock_upstream_member_dials_total{upstream="exits",member="b",result="ok"} 0',
    'penstock_upstream_member_dials_total{upstream="exits",member="b",result="failed"} 0',
    'penstock_upstream_member_dials_total{upstream="exits",member="c",result="ok"} 0',
    'penstock_upstream_member_dials_total{upstream="exits",member="c",result="failed"} 0',
    'penstock_upstream_member_ejections_total{upstream="exits",member="a"} 1',
    'penstock_upstream_member_ejections_total{upstream="exits",member="b"} 0',
    'penstock_upstream_member_ejections_total{upstream="exits",member="c"} 0',
    'penstock_upstream_member_latency_seconds{upstream="exits",member="a",quantile="0.5"} 0.002',
    'penstock_upstream_member_latency_seconds{upstream="exits",member="a",quantile="0.99"} 0.05',
  ]);
  expect(text.match(/^# HELP /gm)).toHaveLength(9);
  expect(text.match(/^# TYPE /gm)).toHaveLength(9);
});
