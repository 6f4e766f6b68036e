import { expect, test } from "bun:test";
import { Fleet, type FleetChange, type SharedKind } from "../../../../src/state/redis/fleet.ts";

const nothing: SharedKind = {
  collect: () => [],
  isBehind: false,
  isActive: false,
  retell: () => {},
  use: () => {},
  isolate: () => {},
};

/** A fleet of one proxy whose Redis answers at once. */
function makeFleet(kind: Partial<SharedKind>) {
  const changes: FleetChange[] = [];
  const fleet = new Fleet({
    link: {
      run: (_script, _keys, args) =>
        Promise.resolve({ ok: true, value: [2, 1, args.includes("scan") ? [["0", []]] : []] }),
      close: () => {},
    },
    kinds: [{ ...nothing, ...kind }],
    id: "me",
    prefix: "test:",
    report: (change) => changes.push(change),
  });
  return { fleet, changes };
}

/** Throws when it is called for the first time. */
function failOnce(): () => void {
  let calls = 0;
  return () => {
    calls += 1;
    if (calls === 1) throw new TypeError("no such bucket");
  };
}

test.each(["collect", "settle", "use"] as const)(
  "a bug in `%s` is a failure after which it is tried again",
  async (at) => {
    const fail = failOnce();
    const { fleet, changes } = makeFleet({
      collect() {
        if (at === "collect") fail();
        if (at !== "settle") return [];
        return [{ kind: "scan", key: "use:day", values: ["0", "1"], settle: fail }];
      },
      use: at === "use" ? fail : nothing.use,
    });
    await fleet.exchanged();
    expect([fleet.fault?.kind, fleet.fault?.why]).toEqual(["error", expect.stringContaining("no such bucket")]);
    await fleet.exchanged();
    expect([fleet.fault, changes.map(({ kind }) => kind)]).toEqual([undefined, ["lost", "back"]]);
    await fleet.stop();
  },
);
