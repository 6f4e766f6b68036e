import type { MemberState } from "../proxy/upstream/pool-state.ts";
import { counter, type Family, gauge, type Sample } from "./prometheus-text.ts";
import { isPoolState, type PoolOrSingle, type SingleState } from "./upstreams.ts";

/** Puts the state of upstreams into families. All labels are names of the configuration. */
export function collectUpstreamFamilies(upstreams: readonly PoolOrSingle[]): Family[] {
  const pools = upstreams.filter(isPoolState);
  const singles = upstreams.filter((upstream): upstream is SingleState => !isPoolState(upstream));
  const members = pools.flatMap(({ name, members: all }) =>
    all.map((member) => ({ labels: { upstream: name, member: member.name }, member })),
  );
  const each = (read: (member: MemberState) => number): Sample[] =>
    members.map(({ labels, member }) => ({ labels, value: read(member) }));
  return [
    counter(
      "penstock_upstream_dials_total",
      "Dials through upstreams that are no pools: succeeded, or failed because of the upstream.",
      singles.flatMap(({ name, dialled, failed }) => [
        { labels: { upstream: name, result: "ok" }, value: dialled },
        { labels: { upstream: name, result: "failed" }, value: failed },
      ]),
    ),
    gauge(
      "penstock_upstream_waiting",
      "Requests that wait for a member of a pool.",
      pools.map(({ name, waiting }) => ({ labels: { upstream: name }, value: waiting })),
    ),
    gauge(
      "penstock_upstream_sessions",
      "Sessions that a pool remembers.",
      pools.map(({ name, sessions }) => ({ labels: { upstream: name }, value: sessions })),
    ),
    gauge(
      "penstock_upstream_member_up",
      "1 when the member of a pool is healthy, else 0.",
      each(({ health }) => (health === "healthy" ? 1 : 0)),
    ),
    gauge(
      "penstock_upstream_member_disabled",
      "1 when an operator has disabled the member, else 0.",
      each(({ disabled }) => (disabled ? 1 : 0)),
    ),
    gauge(
      "penstock_upstream_member_connections",
      "Connections through the member under way, those being dialled included.",
      each(({ connections }) => connections),
    ),
    counter(
      "penstock_upstream_member_dials_total",
      "Dials through the member: succeeded, or failed because of the member.",
      members.flatMap(({ labels, member: { dialled, failed } }) => [
        { labels: { ...labels, result: "ok" }, value: dialled },
        { labels: { ...labels, result: "failed" }, value: failed },
      ]),
    ),
    counter(
      "penstock_upstream_member_ejections_total",
      "Times that the member was left out because it failed.",
      each(({ ejections }) => ejections),
    ),
    gauge(
      "penstock_upstream_member_latency_seconds",
      "Time that the last dials through the member took, by quantile.",
      members.flatMap(({ labels, member: { latencyMs } }) =>
        latencyMs === undefined
          ? []
          : [
              { labels: { ...labels, quantile: "0.5" }, value: latencyMs.p50 / 1000 },
              { labels: { ...labels, quantile: "0.99" }, value: latencyMs.p99 / 1000 },
            ],
      ),
    ),
  ];
}
