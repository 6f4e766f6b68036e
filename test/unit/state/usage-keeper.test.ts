import { expect, test } from "bun:test";
import type { Limits } from "../../../src/proxy/limit/limits.ts";
import { QuotaClock } from "../../../src/proxy/limit/quota-clock.ts";
import { Quotas } from "../../../src/proxy/limit/quotas.ts";
import { Usage } from "../../../src/proxy/limit/usage.ts";
import { UsageKeeper } from "../../../src/state/usage-keeper.ts";
import type { UsageOrder, UsageReply } from "../../../src/state/usage-worker.ts";

const none = { connections: 0, rate: undefined, bandwidth: undefined };
const limits: Limits = {
  inAll: none,
  perUser: { ...none, quota: undefined },
  users: new Map(),
  hasQuotas: false,
  hasRequestLimits: false,
  perClient: none,
  perTarget: none,
  onQuota: "finish",
  clientPrefix: { v4: 32, v6: 64 },
  head: { maxBytes: 0, maxFields: 0 },
};

/** A file in memory that answers an order when it is told to. */
function openKeeper() {
  const clocks = { wall: () => Date.parse("2026-11-28T12:00:00Z"), monotonic: () => 1000 };
  const usage = new Usage({ clock: new QuotaClock({ timeZone: "UTC", monthStart: 1 }, clocks) });
  const sums = new Map<string, [up: number, down: number, requests: number]>();
  const waiting: (() => void)[] = [];
  const answer = (order: UsageOrder): UsageReply => {
    if (order.kind === "open") return { kind: "opened", rows: [], day: undefined, lost: undefined, isDamaged: false };
    if (order.kind !== "write") return { kind: "closed" };
    const rows = order.rows.map(([user, day, up, down, requests]) => {
      const [ups, downs, known] = sums.get(user) ?? [0, 0, 0];
      sums.set(user, [ups + up, downs + down, known + requests]);
      return [user, day, ups + up, downs + down, known + requests] as const;
    });
    return { kind: "written", rows, isDamaged: false, trouble: undefined };
  };
  const keeper = new UsageKeeper("/nowhere", {
    usage,
    quotas: new Quotas(usage),
    live: { look: () => {}, endSpent: () => 0 },
    limits: () => limits,
    tell: () => {},
    thread: {
      ask(order) {
        const { promise, resolve } = Promise.withResolvers<UsageReply>();
        if (order.kind === "write") waiting.push(() => resolve(answer(order)));
        else resolve(answer(order));
        return promise;
      },
      end: () => {},
    },
  });
  return {
    keeper,
    sums,
    waiting,
    /** The file answers everything that it is asked, until `done`. */
    async serve(done: Promise<void>) {
      let isDone = false;
      void done.then(() => (isDone = true));
      while (!isDone) {
        waiting.shift()?.();
        await new Promise<void>((resolve) => void setImmediate(resolve));
      }
    },
    use(bytes: number) {
      const use = usage.tables.user.open("ci");
      use.add(usage.clock.period, bytes, 0, 1);
      usage.unsaved?.add(use);
    },
  };
}

test.each(["flush", "stop"] as const)("use that a write under way has is not written again by %s", async (how) => {
  const { keeper, sums, waiting, serve, use } = openKeeper();
  await keeper.start();
  use(800);
  keeper.look();
  expect(waiting.length).toBe(1);
  use(40);
  const done = how === "flush" ? keeper.flush(60_000) : keeper.stop();
  await serve(done);
  expect(sums.get("ci")).toEqual([840, 0, 2]);
  expect(keeper.listUnsaved()).toEqual([]);
  await serve(keeper.stop());
});

test("use in a write that is not answered is not given to another process", async () => {
  const { keeper, waiting, serve, use } = openKeeper();
  await keeper.start();
  use(800);
  keeper.look();
  use(40);
  await keeper.flush(1);
  expect(waiting.length).toBe(1);
  expect(keeper.listUnsaved()).toMatchObject([{ up: 40, down: 0, requests: 1 }]);
  await serve(keeper.stop());
});
