import { expect, test } from "bun:test";
import { ApprovalTable } from "../../../src/approvals/approval-table.ts";
import { parseAuthority } from "../../../src/address/endpoint.ts";
import { parseIp } from "../../../src/address/ip.ts";
import type { ApprovalPlace } from "../../../src/proxy/decide/ask-operator.ts";
import { createRandom } from "../../support/seeded-random.ts";

test.each([1, 2, 3, 4])(
  "clients, answers and ends in any order leave nothing behind, and bounds hold (seed %d)",
  (seed) => {
    const random = createRandom(seed);
    const pick = <T>(list: readonly T[]): T => list[random.below(list.length)] as T;
    const bounds = { max: 40, maxPerClient: 7 };
    let now = 0;
    let ids = 0;
    const table = new ApprovalTable({
      bounds,
      now: () => now,
      date: () => now,
      createId: () => `q${++ids}`,
      isListed: () => false,
      asked: () => {},
      unanswered: () => {},
    });
    const waiting = new Map<ApprovalPlace, string>();
    let [held, told, left] = [0, 0, 0];
    const targets = Array.from({ length: 12 }, (_, at) => parseAuthority(`h${at}.example:443`)).flatMap((each) =>
      each.ok ? each.endpoint : [],
    );
    const client = parseIp("192.0.2.1");
    if (client === undefined) throw new Error("No address");
    const leave = (place: ApprovalPlace, why: "deadline" | "client_gone"): void => {
      if (waiting.delete(place)) left += 1;
      place.leave(why);
    };
    for (let step = 0; step < 5000; step++) {
      now += random.below(2000);
      const kind = random.below(10);
      if (kind < 6) {
        const user = `u${random.below(9)}`;
        const place = table.ask({ user, client, holder: `user ${user}`, target: pick(targets), rule: "r" });
        if (place.kind !== "held") continue;
        held += 1;
        waiting.set(place, user);
        place.whenAnswered = () => {
          // Each is told once, and never after it left.
          expect(waiting.delete(place)).toBe(true);
          told += 1;
        };
      } else if (kind < 8) {
        const place = [...waiting.keys()][random.below(Math.max(1, waiting.size))];
        if (place !== undefined) leave(place, pick(["deadline", "client_gone"]));
      } else if (kind === 8) {
        const [question] = table.list();
        if (question !== undefined)
          table.answer(question.id, { allow: pick([true, false]), for: pick(["once", "10m"]), by: "ops" });
      } else if (random.below(50) === 0) {
        table.close();
        expect(waiting.size).toBe(0);
        table.open();
      }
      expect(table.counts.waiting).toBe(waiting.size);
      expect(waiting.size).toBeLessThanOrEqual(bounds.max);
      expect(table.counts.open).toBeLessThanOrEqual(bounds.max);
      for (const user of new Set(waiting.values()))
        expect([...waiting.values()].filter((each) => each === user).length).toBeLessThanOrEqual(bounds.maxPerClient);
    }
    for (const place of [...waiting.keys()]) {
      leave(place, "client_gone");
      leave(place, "deadline");
    }
    expect([held > 100, told > 0, left > 0, held]).toEqual([true, true, true, told + left]);
    now += 1_200_000;
    expect(table.counts).toMatchObject({ waiting: 0, open: 0 });
    expect([table.holders, table.grants.list()]).toEqual([0, []]);
  },
);
