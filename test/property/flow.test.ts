import { expect, test } from "bun:test";
import { relay } from "../../src/proxy/flow/relay.ts";
import type { Observer, TunnelEnd, TunnelResult } from "../../src/proxy/flow/tunnel.ts";
import { MemoryConn } from "../support/memory-conn.ts";
import { createRandom } from "../support/seeded-random.ts";
import { SimpleBudget } from "../support/simple-budget.ts";

const RUNS = Number(process.env["FLOW_RUNS"] ?? 3000);

/** Counts what it sees, as a tap or an observer does, and lets it pass. */
class Counter implements Observer {
  readonly cameBytes = { client: 0, target: 0 };
  readonly wentBytes = { client: 0, target: 0 };
  end: TunnelEnd | undefined;

  begin(): void {
    // Nothing to prepare.
  }
  came(from: "client" | "target", bytes: Uint8Array): void {
    this.cameBytes[from] += bytes.length;
  }
  went(to: "client" | "target", bytes: Uint8Array): void {
    this.wentBytes[to] += bytes.length;
  }
  ended(): void {
    // Seen by the peers.
  }
  finished(): void {
    // Seen by the peers.
  }
  over(end: TunnelEnd): void {
    this.end = end;
  }
}

interface Peer {
  readonly conn: MemoryConn;
  said: string;
  finished: boolean;
  vanished: boolean;
}

function makePeer(): Peer {
  return { conn: new MemoryConn(), said: "", finished: false, vanished: false };
}

/** A tunnel under a schedule from a seed: short writes, pauses, budgets, half-closes and resets in any order. */
function run(seed: number): void {
  const random = createRandom(seed);
  const [client, target] = [makePeer(), makePeer()];
  const limited = random.below(2) === 0;
  const [up, down] = [new SimpleBudget(0, 1 + random.below(20)), new SimpleBudget(0, 1 + random.below(20))];
  const budgets = limited ? { upBudget: up, downBudget: down } : {};
  const counter = new Counter();
  const observers = random.below(2) === 0 ? [counter] : undefined;
  const ends: TunnelResult[] = [];
  for (const { conn } of [client, target]) conn.room = random.below(40);
  const say = (peer: Peer): void => {
    if (peer.finished || peer.vanished) return;
    const text = Buffer.from(random.bytes(random.below(60))).toString("latin1");
    if (!peer.conn.closed) peer.said += text;
    peer.conn.say(text);
  };
  say(client);
  say(target);
  const owner = { tunnelOver: (result: TunnelResult) => void ends.push(result) };
  const tunnel = relay(client.conn, target.conn, { idleMs: 0, owner, observers, ...budgets });
  let killed = false;
  const steps = random.below(60);
  for (let step = 0; step < steps; step += 1) {
    const peer = random.below(2) === 0 ? client : target;
    const action = random.below(100);
    if (action < 40) say(peer);
    else if (action < 65) peer.conn.grant(random.below(50));
    else if (action < 75) peer.conn.drain();
    else if (action < 92) (random.below(2) === 0 ? up : down).fill(random.below(50));
    else if (action < 97) {
      if (!peer.vanished) peer.conn.finish();
      peer.finished = true;
    } else if (action === 97) {
      peer.conn.vanish();
      peer.vanished = true;
    } else if (action === 98 && random.below(2) === 0) {
      tunnel.kill("killed");
      killed = true;
    }
    // In order, whatever happened so far.
    expect(client.said.startsWith(target.conn.text)).toBe(true);
    expect(target.said.startsWith(client.conn.text)).toBe(true);
  }
  for (const budget of [up, down]) budget.fill(1_000_000);
  for (const peer of [client, target]) {
    peer.conn.drain();
    peer.finished = true;
    peer.conn.finish();
  }
  expect(ends).toHaveLength(1);
  const [result] = ends;
  expect(tunnel.bytes()).toEqual({ up: target.conn.text.length, down: client.conn.text.length });
  expect(result).toMatchObject({ bytesUp: target.conn.text.length, bytesDown: client.conn.text.length });
  if (result?.end === "closed") {
    // Every byte, and both ends in order.
    expect([target.conn.text, client.conn.text]).toEqual([client.said, target.said]);
    expect([target.conn.state, client.conn.state]).toEqual(["closed", "closed"]);
  } else {
    // Cut: both connections say so.
    expect(killed || client.vanished || target.vanished).toBe(true);
    for (const { conn, vanished } of [client, target]) expect(vanished || conn.state === "reset").toBe(true);
  }
  if (limited) expect([up.moved, down.moved]).toEqual([target.conn.text.length, client.conn.text.length]);
  expect([up.waiting, down.waiting]).toEqual([0, 0]);
  if (observers !== undefined) {
    expect(counter.end).toBe(result?.end);
    expect(counter.wentBytes).toEqual({ client: client.conn.text.length, target: target.conn.text.length });
    if (result?.end === "closed")
      expect(counter.cameBytes).toEqual({ client: client.said.length, target: target.said.length });
  }
}

test("a tunnel under any schedule delivers every byte in order, or says that it was cut", () => {
  for (let seed = 1; seed <= RUNS; seed += 1) {
    try {
      run(seed);
    } catch (error) {
      throw new Error(`The schedule of seed ${seed} fails`, { cause: error });
    }
  }
});
