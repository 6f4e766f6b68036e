import { describe, expect, test } from "bun:test";
import { GRANT_MS, MAX_GRANTS } from "../../../src/approvals/approval-grants.ts";
import { ApprovalTable, type ApprovalBounds, type OpenQuestion } from "../../../src/approvals/approval-table.ts";
import { carryApprovals } from "../../../src/approvals/carry-approvals.ts";
import { type Endpoint, parseAuthority } from "../../../src/address/endpoint.ts";
import { type Ip, parseIp } from "../../../src/address/ip.ts";
import type { ApprovalAnswer, ApprovalPlace } from "../../../src/proxy/decide/ask-operator.ts";

function ip(text: string): Ip {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

function endpoint(text: string): Endpoint {
  const parsed = parseAuthority(text);
  if (!parsed.ok) throw new Error(text);
  return parsed.endpoint;
}

class Stand {
  now = 1000;
  readonly asked: OpenQuestion[] = [];
  readonly unanswered: OpenQuestion[] = [];
  readonly listed = new Set<string>();
  readonly table: ApprovalTable;
  #ids = 0;

  constructor(bounds: ApprovalBounds = { max: 100, maxPerClient: 100 }) {
    this.table = new ApprovalTable({
      bounds,
      now: () => this.now,
      date: () => 1_700_000_000_000 + this.now,
      createId: () => `q${++this.#ids}`,
      isListed: ({ host, port }) => this.listed.has(`${host.text}:${port}`),
      asked: (question) => this.asked.push(question),
      unanswered: (question) => this.unanswered.push(question),
    });
  }

  ask(user: string | undefined, target: string, client = "192.0.2.1"): ApprovalAnswer | ApprovalPlace {
    const holder = user === undefined ? `client ${client}` : `user ${user}`;
    return this.table.ask({ user, client: ip(client), holder, target: endpoint(target), rule: "others" });
  }

  /** Waits, and notes the answers. */
  hold(user: string | undefined, target: string, client?: string): { place: ApprovalPlace; answers: ApprovalAnswer[] } {
    const place = this.ask(user, target, client);
    if (place.kind !== "held") throw new Error(place.kind);
    const answers: ApprovalAnswer[] = [];
    place.whenAnswered = (answer) => answers.push(answer);
    return { place, answers };
  }
}

const by = "ops";

describe("the table of approvals", () => {
  test("equal questions are one, for everybody who waits for it", () => {
    const stand = new Stand();
    const one = stand.hold("ci", "a.example:443");
    const two = stand.hold("ci", "a.example:443", "192.0.2.9");
    stand.hold("ci", "a.example:80");
    stand.hold("ann", "a.example:443");
    expect(stand.asked.map(({ id, user, host, port }) => [id, user, host, port])).toEqual([
      ["q1", "ci", "a.example", 443],
      ["q2", "ci", "a.example", 80],
      ["q3", "ann", "a.example", 443],
    ]);
    expect(stand.table.list()[0]).toMatchObject({ id: "q1", waiting: 2, client: "192.0.2.1" });
    expect(stand.table.answer("q1", { allow: true, for: "once", by })).toBe(2);
    expect([one.answers, two.answers]).toEqual([[{ kind: "allowed" }], [{ kind: "allowed" }]]);
    expect(stand.table.counts).toMatchObject({ waiting: 2, open: 2, asked: 3, answered: { allow_once: 1 } });
    // Used up by those who waited.
    expect(stand.ask("ci", "a.example:443").kind).toBe("held");
  });

  test("without a user the client's address is who asks", () => {
    const stand = new Stand();
    stand.hold(undefined, "a.example:443", "192.0.2.1");
    stand.hold(undefined, "a.example:443", "192.0.2.2");
    stand.table.answer("q1", { allow: true, for: "10m", by });
    expect(stand.ask(undefined, "a.example:443", "192.0.2.1").kind).toBe("allowed");
    expect(stand.ask(undefined, "a.example:443", "192.0.2.2").kind).toBe("held");
    // A user of that name is somebody else.
    expect(stand.ask("192.0.2.1", "a.example:443", "192.0.2.1").kind).toBe("held");
  });

  test("ten minutes are for exactly that user, host and port, and end", () => {
    const stand = new Stand();
    stand.hold("ci", "a.example:443");
    stand.table.answer("q1", { allow: true, for: "10m", by });
    stand.now += GRANT_MS - 1;
    expect(stand.ask("ci", "a.example:443")).toEqual({ kind: "allowed" });
    expect(stand.ask("ci", "a.example:444").kind).toBe("held");
    expect(stand.ask("ci", "www.a.example:443").kind).toBe("held");
    expect(stand.ask("ann", "a.example:443").kind).toBe("held");
    stand.now += 1;
    expect(stand.ask("ci", "a.example:443").kind).toBe("held");
  });

  test("what is denied for a time says for how long, and can be answered otherwise", () => {
    const stand = new Stand();
    const { answers } = stand.hold("ci", "a.example:443");
    expect(stand.table.answer("q1", { allow: false, for: "10m", by })).toBe(1);
    expect(answers).toEqual([{ kind: "denied", forSeconds: 600 }]);
    stand.now += 599_500;
    expect(stand.ask("ci", "a.example:443")).toEqual({ kind: "denied", forSeconds: 1 });
    stand.table.answer("q1", { allow: true, for: "10m", by });
    expect(stand.ask("ci", "a.example:443")).toEqual({ kind: "allowed" });
    // Denied once: what held is forgotten.
    stand.table.answer("q1", { allow: false, for: "once", by });
    expect(stand.ask("ci", "a.example:443").kind).toBe("held");
    expect(stand.table.answer("q1", { allow: true, for: "once", by })).toBeUndefined();
  });

  test("a question stays open when its client has left, and is asked once", () => {
    const stand = new Stand();
    stand.hold("ci", "a.example:443").place.leave("client_gone");
    expect(stand.table.counts).toMatchObject({ waiting: 0, open: 1, timedOut: 0 });
    expect(stand.unanswered).toEqual([]);
    stand.hold("ci", "a.example:443").place.leave("deadline");
    expect(stand.asked).toHaveLength(1);
    expect(stand.unanswered.map(({ id }) => id)).toEqual(["q1"]);
    // Nobody waits: the next connection is the one that it is for, and no other.
    stand.table.answer("q1", { allow: true, for: "once", by });
    expect(stand.ask("ci", "a.example:443")).toEqual({ kind: "allowed" });
    const again = stand.hold("ci", "a.example:443");
    again.place.leave("deadline");
    again.place.leave("client_gone");
    expect(stand.table.counts).toMatchObject({ waiting: 0, open: 1, timedOut: 2 });
    stand.now += GRANT_MS;
    expect(stand.table.list()).toEqual([]);
    expect(stand.table.holders).toBe(0);
  });

  test("places are bounded for each client and in all, and a place that is left is free", () => {
    const stand = new Stand({ max: 3, maxPerClient: 2 });
    const one = stand.hold("ci", "a.example:443");
    stand.hold("ci", "a.example:443");
    expect(stand.ask("ci", "a.example:443").kind).toBe("busy");
    expect(stand.ask("ci", "b.example:443").kind).toBe("busy");
    stand.hold("ann", "a.example:443");
    expect(stand.ask("bob", "a.example:443").kind).toBe("busy");
    expect(stand.table.counts.full).toBe(3);
    one.place.leave("client_gone");
    expect(stand.ask("bob", "a.example:443").kind).toBe("held");
  });

  test("a client cannot ask without end by leaving, and takes no room from others", () => {
    const stand = new Stand({ max: 3, maxPerClient: 2 });
    for (const host of ["a", "b"]) stand.hold("ci", `${host}.example:443`).place.leave("client_gone");
    expect(stand.ask("ci", "c.example:443").kind).toBe("busy");
    stand.hold("ann", "a.example:443");
    // The question that nobody waits for, the longest first, makes room for another user's.
    stand.hold("bob", "a.example:443");
    expect(stand.table.list().map(({ user, host }) => `${user} ${host}`)).toEqual([
      "ci b.example",
      "ann a.example",
      "bob a.example",
    ]);
    expect(stand.ask("ci", "c.example:443").kind).toBe("busy");
  });

  test("allowing for always releases everybody who waits for the target", () => {
    const stand = new Stand();
    const all = [stand.hold("ci", "a.example:443"), stand.hold("ann", "a.example:443")];
    const other = stand.hold("ann", "a.example:80");
    stand.listed.add("a.example:443");
    expect(stand.table.answer("q1", { allow: true, for: "always", by })).toBe(2);
    expect(all.map(({ answers }) => answers.length)).toEqual([1, 1]);
    expect(other.answers).toEqual([]);
    expect(stand.ask("bob", "a.example:443")).toEqual({ kind: "allowed" });
  });

  test("when the proxy leaves, who waits is told, nobody waits any more, and it can be taken back", () => {
    const stand = new Stand();
    const { answers } = stand.hold("ci", "a.example:443");
    stand.table.close();
    expect(answers).toEqual([{ kind: "closed" }]);
    expect(stand.ask("ci", "a.example:443")).toEqual({ kind: "closed" });
    expect(stand.table.counts).toMatchObject({ waiting: 0, open: 0 });
    expect(stand.table.holders).toBe(0);
    stand.table.open();
    expect(stand.ask("ci", "a.example:443").kind).toBe("held");
  });

  test("answers that hold are bounded, and the oldest goes", () => {
    const stand = new Stand({ max: 100_000, maxPerClient: 100_000 });
    for (let at = 1; at <= MAX_GRANTS + 1; at++) {
      stand.hold("ci", `h${at}.example:443`);
      stand.table.answer(`q${at}`, { allow: true, for: "10m", by });
    }
    expect(stand.table.grants.list()).toHaveLength(MAX_GRANTS);
    expect(stand.ask("ci", "h1.example:443").kind).toBe("held");
    expect(stand.ask("ci", "h2.example:443").kind).toBe("allowed");
  });

  test("answers that hold go to the next process with their time; those for one connection do not", () => {
    const [old, next] = [new Stand(), new Stand()];
    old.hold("ci", "a.example:443");
    old.hold(undefined, "[2001:db8::1]:443");
    old.hold("ci", "c.example:443").place.leave("client_gone");
    old.table.answer("q1", { allow: true, for: "10m", by });
    old.table.answer("q2", { allow: false, for: "10m", by });
    old.table.answer("q3", { allow: true, for: "once", by });
    old.now += 60_000;
    // The clock of the next process began later.
    next.now = 5;
    const value = JSON.parse(JSON.stringify(carryApprovals(old.table.grants).save())) as never;
    expect(carryApprovals(next.table.grants).restore(value, next.now - old.now)).toBe(true);
    expect(next.ask("ci", "a.example:443")).toEqual({ kind: "allowed" });
    expect(next.ask(undefined, "[2001:db8::1]:443")).toEqual({ kind: "denied", forSeconds: 540 });
    expect(next.ask("ci", "c.example:443").kind).toBe("held");
    next.now += 540_000;
    expect(next.ask("ci", "a.example:443").kind).toBe("held");
    for (const wrong of [null, {}, [1], [["q1"]], [["q", "k", 1, "c", "a.example:443", "r", true, "o", 1]]])
      expect(carryApprovals(next.table.grants).restore(wrong as never, 0)).toBe(false);
  });
});
