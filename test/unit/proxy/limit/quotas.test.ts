import { describe, expect, test } from "bun:test";
import { QuotaClock } from "../../../../src/proxy/limit/quota-clock.ts";
import { Quotas } from "../../../../src/proxy/limit/quotas.ts";
import { Usage } from "../../../../src/proxy/limit/usage.ts";
import type { Limits } from "../../../../src/proxy/limit/limits.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const none = { connections: 0, rate: undefined, bandwidth: undefined };

/** The limits of a configuration in which each user has a quota. */
const limits: Limits = {
  inAll: none,
  perUser: { ...none, quota: { day: 1000, month: 3000 } },
  users: new Map([["vip", { ...none, quota: undefined }]]),
  hasQuotas: true,
  hasRequestLimits: false,
  perClient: none,
  perTarget: none,
  onQuota: "finish",
  clientPrefix: { v4: 32, v6: 64 },
  head: { maxBytes: 0, maxFields: 0 },
};

function open(start: string) {
  const machine = { wall: Date.parse(start), monotonic: 0 };
  const clock = new QuotaClock(
    { timeZone: "UTC", monthStart: 1 },
    { wall: () => machine.wall, monotonic: () => machine.monotonic },
  );
  const usage = new Usage({ clock });
  const quotas = new Quotas(usage);
  return {
    quotas,
    use: (user: string, bytes: number) => usage.tables.user.open(user).add(clock.period, bytes, 0, 1),
    refused: (user: string) => {
      const failure = quotas.refuse(user, limits);
      return failure && [failure.detail, failure.limit, failure.retryAfterSeconds];
    },
    bytesOn: (user: string, date: string) =>
      usage.tables.user.find(user)?.dayOf(Date.parse(`${date}T00:00:00Z`) / DAY).up,
    pass(ms: number) {
      machine.wall += ms;
      machine.monotonic += ms;
    },
    set: (ms: number) => void (machine.wall += ms),
  };
}

const DAY_QUOTA = "perUser.bytes.day";

describe("quotas", () => {
  test("are reached with the last byte, not before, and open with the next day", () => {
    const { use, refused, pass } = open("2026-11-28T23:59:00Z");
    use("ci", 999);
    expect(refused("ci")).toBeUndefined();
    use("ci", 1);
    expect(refused("ci")).toEqual(["quota_exceeded", DAY_QUOTA, 60]);
    pass(59_001);
    expect(refused("ci")).toEqual(["quota_exceeded", DAY_QUOTA, 1]);
    pass(999);
    expect(refused("ci")).toBeUndefined();
  });

  test("of a month stay reached over its days, and open with the next month", () => {
    const { use, refused, pass } = open("2026-11-28T12:00:00Z");
    for (let day = 0; day < 3; day += 1) {
      use("ci", 1000);
      pass(DAY);
    }
    expect(refused("ci")).toBeUndefined();
    const late = open("2026-11-27T12:00:00Z");
    for (let day = 0; day < 3; day += 1) {
      late.use("ci", 1000);
      late.pass(DAY);
    }
    expect(late.refused("ci")).toEqual(["quota_exceeded", "perUser.bytes.month", 12 * 3600]);
    late.pass(DAY / 2);
    expect(late.refused("ci")).toBeUndefined();
  });

  test("open nothing that is reached when the clock is set a day ahead and back, and lose no use", () => {
    const { use, refused, pass, set, bytesOn } = open("2026-11-28T12:00:00Z");
    use("ci", 1000);
    use("bob", 300);
    set(DAY);
    expect(refused("ci")?.slice(0, 2)).toEqual(["quota_exceeded", DAY_QUOTA]);
    use("bob", 300);
    pass(MINUTE);
    set(-DAY);
    expect(refused("ci")?.slice(0, 2)).toEqual(["quota_exceeded", DAY_QUOTA]);
    use("bob", 400);
    expect(refused("bob")?.[1]).toBe(DAY_QUOTA);
    expect(bytesOn("bob", "2026-11-28")).toBe(1000);
  });

  test("stay reached when the clock is set back over midnight, or after it was believed", () => {
    const { use, refused, pass, set, bytesOn } = open("2026-11-28T12:00:00Z");
    use("ci", 400);
    set(DAY);
    expect(refused("ci")).toBeUndefined();
    pass(11 * MINUTE);
    // The clock is believed: another day.
    expect(refused("ci")).toBeUndefined();
    use("ci", 1000);
    expect(refused("ci")?.[1]).toBe(DAY_QUOTA);
    set(-DAY);
    expect(refused("ci")?.[1]).toBe(DAY_QUOTA);
    pass(20 * 60 * MINUTE);
    expect(refused("ci")?.[1]).toBe(DAY_QUOTA);
    expect([bytesOn("ci", "2026-11-28"), bytesOn("ci", "2026-11-29")]).toEqual([400, 1000]);
  });

  test("stay reached on the day that the clock shows, while another one goes on that began by mistake", () => {
    const { use, refused, pass, set, bytesOn } = open("2026-11-28T12:00:00Z");
    use("ci", 1000);
    set(400 * DAY);
    expect(refused("ci")?.[1]).toBe(DAY_QUOTA);
    pass(11 * MINUTE);
    // The clock is believed: another day.
    expect(refused("ci")).toBeUndefined();
    use("bob", 1);
    set(-400 * DAY);
    expect(refused("ci")).toEqual(["quota_exceeded", DAY_QUOTA, 12 * 3600 - 11 * 60]);
    use("bob", 2);
    expect(refused("bob")).toBeUndefined();
    expect(bytesOn("bob", "2028-01-02")).toBe(3);
    pass(DAY / 2);
    expect(refused("ci")).toBeUndefined();
  });

  test("refuse whose use is not known, until it is or its day and month are over", () => {
    const { quotas, refused, pass } = open("2026-11-30T12:00:00Z");
    const period = { day: Date.parse("2026-11-30") / DAY, month: Date.parse("2026-11-01") / DAY };
    quotas.knowledge = { kind: "awaited", period };
    expect(refused("ci")).toEqual(["quota_unknown", "perUser.bytes.month", 5]);
    expect(refused("vip")).toBeUndefined();
    quotas.knowledge = { kind: "lost", period };
    expect(refused("ci")).toEqual(["quota_unknown", "perUser.bytes.month", 12 * 3600]);
    expect(quotas.areBlind).toBe(true);
    pass(DAY / 2);
    expect(refused("ci")).toBeUndefined();
    expect(quotas.areBlind).toBe(false);
  });

  test("ask for a user of whom nothing is known, and for nobody without a quota", () => {
    const { quotas, refused } = open("2026-11-28T12:00:00Z");
    const asked: string[] = [];
    quotas.onUnknown = (user) => asked.push(user);
    refused("ci");
    refused("vip");
    quotas.refuse(undefined, limits);
    quotas.refuse("ci", { ...limits, hasQuotas: false });
    expect(asked).toEqual(["ci"]);
  });
});
