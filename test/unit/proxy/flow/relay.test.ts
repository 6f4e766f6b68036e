import { describe, expect, spyOn, test } from "bun:test";
import { ACTIVE } from "../../../../src/net/conn/idle-watch.ts";
import type { Observer, TapPort, Tunnel, TunnelResult, TunnelTap } from "../../../../src/proxy/flow/tunnel.ts";
import { relay } from "../../../../src/proxy/flow/relay.ts";
import { FakeConn } from "../../../support/fake-conn.ts";
import { MemoryConn } from "../../../support/memory-conn.ts";
import { SimpleBudget } from "../../../support/simple-budget.ts";

/** A relay between two fakes, and what its owner was told, in order. */
function makeStand(prepare: (client: FakeConn, target: FakeConn) => void = () => undefined) {
  const [client, target] = [new FakeConn(), new FakeConn()];
  prepare(client, target);
  const told: (TunnelResult | "opened")[] = [];
  const tunnel: Tunnel = relay(client, target, { idleMs: 0, owner: { tunnelOver: (result) => told.push(result) } });
  told.push("opened");
  return { client, target, told, tunnel };
}

describe("relay()", () => {
  test("tells its owner of the end, once", () => {
    const { client, target, told } = makeStand();
    client.receive("question");
    target.receive("answer");
    client.receiveEnd();
    expect(told).toEqual(["opened"]);
    target.receiveEnd();
    client.break();
    expect(told).toEqual(["opened", { end: "closed", bytesUp: 8, bytesDown: 6 }]);
  });

  test("tells of an end at the very beginning only after it was opened", async () => {
    const { told } = makeStand((client) => {
      client.receive("question");
      client.break();
    });
    expect(told).toEqual(["opened"]);
    await Promise.resolve();
    expect(told).toEqual(["opened", { end: "client_reset", bytesUp: 8, bytesDown: 0 }]);
  });

  test("has a promise for whoever asks, before the end or after it", async () => {
    const { target, tunnel } = makeStand();
    const before = tunnel.done;
    target.break();
    expect((await before).end).toBe("target_reset");
    expect((await tunnel.done).end).toBe("target_reset");
  });
});

/** Notes what it is shown, in order. */
class Notes implements Observer {
  readonly notes: string[] = [];
  lookAway: (() => void) | undefined;

  begin({ lookAway }: Parameters<Observer["begin"]>[0]): void {
    this.lookAway = lookAway;
  }
  came(from: string, bytes: Uint8Array): void {
    this.notes.push(`came from ${from}: ${Buffer.from(bytes).toString("latin1")}`);
  }
  went(to: string, bytes: Uint8Array): void {
    this.notes.push(`went to ${to}: ${Buffer.from(bytes).toString("latin1")}`);
  }
  ended(from: string): void {
    this.notes.push(`${from} ended`);
  }
  finished(to: string): void {
    this.notes.push(`${to} finished`);
  }
  over(end: string): void {
    this.notes.push(end);
  }
}

/** A tap that holds the client's bytes until it has four of them. */
class HoldFour implements TunnelTap {
  done = false;
  closed = false;
  port: TapPort | undefined;
  #held = Buffer.alloc(0);

  begin(port: TapPort): void {
    this.port = port;
  }
  up(chunk: Uint8Array): Uint8Array | undefined {
    this.#held = Buffer.concat([this.#held, chunk]);
    this.done = this.#held.length >= 4;
    return this.done ? this.#held : undefined;
  }
  upEnd(): Uint8Array | undefined {
    return this.#held;
  }
  down(chunk: Uint8Array): Uint8Array | undefined {
    return chunk;
  }
  close(): void {
    this.closed = true;
  }
  letGo(): boolean {
    return false;
  }
}

/** A relay between two connections in memory. */
function makePair(options: Partial<Parameters<typeof relay>[2]>) {
  const [client, target] = [new MemoryConn(), new MemoryConn()];
  const watch = spyOn(client.timers.idle, "watch");
  const unwatch = spyOn(client.timers.idle, "unwatch");
  const tunnel = relay(client, target, { idleMs: 1000, ...options });
  return { client, target, tunnel, watch, unwatch };
}

describe("what looks at a relay", () => {
  test("a tap that comes later is made with the first bytes, and sees them all", () => {
    let made: HoldFour | undefined;
    const owner = { tunnelOver: () => undefined, makeTap: () => (made = new HoldFour()) };
    const { client, target } = makePair({ tappedLater: true, owner });
    expect(made).toBeUndefined();
    client.say("abc");
    expect(made?.port).toBeDefined();
    expect(target.text).toBe("");
    client.say("d");
    expect(target.text).toBe("abcd");
  });

  test("a tap that comes later is not made for a tunnel in which nothing is said", () => {
    let made = 0;
    const makeTap = () => {
      made += 1;
      return undefined;
    };
    const told: TunnelResult[] = [];
    const { client, target } = makePair({ tappedLater: true, owner: { tunnelOver: (end) => told.push(end), makeTap } });
    client.finish();
    target.finish();
    expect(told).toEqual([{ end: "closed", bytesUp: 0, bytesDown: 0 }]);
    expect(made).toBe(0);
  });

  test("an observer that comes before the first bytes sees them beside the tap that comes later", () => {
    const seen = new Notes();
    const { client, target, tunnel } = makePair({
      tappedLater: true,
      owner: { tunnelOver: () => undefined, makeTap: () => new HoldFour() },
    });
    tunnel.watch?.(seen);
    client.say("abcd");
    expect(seen.notes).toEqual(["came from client: abcd", "went to target: abcd"]);
    expect(target.text).toBe("abcd");
  });

  test("an observer sees what comes, and what goes as the sockets take it", () => {
    const seen = new Notes();
    const { client, target } = makePair({ observers: [seen] });
    target.room = 2;
    client.say("abc");
    target.drain();
    client.finish();
    target.finish();
    expect(seen.notes).toEqual([
      "came from client: abc",
      "went to target: ab",
      "went to target: c",
      "client ended",
      "target finished",
      "target ended",
      "client finished",
      "closed",
    ]);
  });

  test("an observer that looks away sees nothing more", () => {
    const seen = new Notes();
    const { client, tunnel } = makePair({});
    tunnel.watch?.(seen);
    client.say("a");
    seen.lookAway?.();
    client.say("b");
    tunnel.kill("killed");
    expect(seen.notes).toEqual(["came from client: a", "went to target: a"]);
  });

  test("a tap holds bytes that an observer has seen come, until it lets them go", () => {
    const [seen, tap] = [new Notes(), new HoldFour()];
    const { client, target, tunnel } = makePair({ observers: [seen], tap });
    client.say("abc");
    expect([target.text, tunnel.bytes().up]).toEqual(["", 0]);
    client.say("de");
    client.say("f");
    expect(target.text).toBe("abcdef");
    expect(seen.notes).toEqual([
      "came from client: abc",
      "came from client: de",
      "went to target: abcde",
      "came from client: f",
      "went to target: f",
    ]);
    tunnel.kill("killed");
    expect([tap.done, tap.closed]).toEqual([true, false]);
  });

  test("a tap that has not seen enough is closed with its tunnel", () => {
    const tap = new HoldFour();
    const { client, target, tunnel } = makePair({ tap });
    client.say("ab");
    tap.port?.pass(Buffer.from("held"));
    expect(target.text).toBe("held");
    tunnel.kill("killed");
    expect(tap.closed).toBe(true);
  });
});

describe("a refusal", () => {
  test("leaves the connection of a client that was told why to its owner", () => {
    const tap = new HoldFour();
    const { client, target, tunnel } = makePair({ tap });
    client.say("ab");
    tap.port?.refuse(Buffer.from("no"));
    expect([client.text, client.state, target.state]).toEqual(["no", "open", "closed"]);
    expect(tunnel.bytes()).toEqual({ up: 0, down: 0 });
  });

  test.each([
    ["there is nothing to say", "", Infinity],
    ["the client does not take it whole", "no", 1],
  ])("resets the connection of a client when %s", (_when, words, room) => {
    const tap = new HoldFour();
    const { client, target } = makePair({ tap });
    client.room = room;
    client.say("ab");
    tap.port?.refuse(Buffer.from(words));
    expect([client.state, target.state]).toEqual(["reset", "closed"]);
  });
});

describe("a relay with a budget", () => {
  test("passes an end on only after the bytes that waited for the budget", async () => {
    const upBudget = new SimpleBudget(2);
    const { client, target, tunnel } = makePair({ upBudget });
    client.say("hello");
    client.finish();
    target.say("answer");
    expect([target.text, target.state, client.text]).toEqual(["he", "open", "answer"]);
    upBudget.fill(100);
    expect([target.text, target.state]).toEqual(["hello", "fin"]);
    target.finish();
    expect(await tunnel.done).toEqual({ end: "closed", bytesUp: 5, bytesDown: 6 });
  });

  test("reads no more of a stream than may be written, and nothing while it waits for its turn", async () => {
    const upBudget = new SimpleBudget(30_000);
    const { client, target, tunnel } = makePair({ upBudget });
    client.say("a".repeat(20_000));
    client.say("b".repeat(20_000));
    expect([target.bytesWritten, client.unreadBytes, upBudget.waiting]).toEqual([30_000, 10_000, 1]);
    upBudget.fill(4000);
    expect([target.bytesWritten, client.unreadBytes, upBudget.waiting]).toEqual([34_000, 6000, 1]);
    client.finish();
    target.finish();
    upBudget.fill(100_000);
    expect(target.text).toBe("a".repeat(20_000) + "b".repeat(20_000));
    expect(await tunnel.done).toEqual({ end: "closed", bytesUp: 40_000, bytesDown: 0 });
    expect([upBudget.bytes, upBudget.waiting]).toEqual([94_000, 0]);
  });

  test("reads small messages at any time, and those that may not go on wait in memory", () => {
    const upBudget = new SimpleBudget(7);
    const { client, target } = makePair({ upBudget });
    client.say("hello");
    client.say("!!");
    expect([target.text, upBudget.waiting]).toEqual(["hello!!", 0]);
    client.say("you");
    expect([target.text, client.unreadBytes, upBudget.waiting]).toEqual(["hello!!", 0, 1]);
  });

  test("passes an end on once, and waits for no turn after it", async () => {
    const upBudget = new SimpleBudget(20_000);
    const { client, target, tunnel } = makePair({ upBudget });
    client.say("a".repeat(20_000));
    client.finish();
    expect([upBudget.waiting, target.state]).toEqual([1, "open"]);
    upBudget.fill(1);
    expect([upBudget.waiting, target.state]).toEqual([0, "fin"]);
    upBudget.fill(1);
    target.finish();
    expect(await tunnel.done).toEqual({ end: "closed", bytesUp: 20_000, bytesDown: 0 });
  });

  test("reads on at once when its limit is lifted", () => {
    const upBudget = new SimpleBudget(20_000);
    const { client, target, tunnel } = makePair({ upBudget });
    client.say("a".repeat(20_000));
    client.say("b".repeat(50_000));
    expect([target.bytesWritten, upBudget.waiting]).toEqual([20_000, 1]);
    tunnel.limit?.(undefined, undefined);
    expect([target.bytesWritten, upBudget.waiting, client.mostPerRead]).toEqual([70_000, 0, Infinity]);
  });

  test("gives the turn back that it waits for when it is killed", () => {
    const upBudget = new SimpleBudget(20_000);
    const { client, tunnel } = makePair({ upBudget });
    client.say("a".repeat(20_000));
    expect(upBudget.waiting).toBe(1);
    tunnel.kill("killed");
    expect([upBudget.waiting, client.state]).toEqual([0, "reset"]);
  });

  test("is active while its budget lets bytes go, and waits for nothing once it is over", () => {
    const upBudget = new SimpleBudget();
    const { client, target, tunnel, watch, unwatch } = makePair({ upBudget });
    const [watched] = watch.mock.lastCall ?? [];
    if (watched === undefined) throw new Error("The relay is not watched");
    client.say("hello");
    watched.lastActivity = 1;
    upBudget.fill(2);
    expect([target.text, watched.lastActivity, upBudget.waiting]).toEqual(["he", ACTIVE, 1]);
    tunnel.kill("killed");
    expect([upBudget.waiting, unwatch.mock.calls.length]).toEqual([0, 1]);
  });
});
