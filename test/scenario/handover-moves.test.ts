import { describe, expect, test } from "bun:test";
import type { Movable } from "../../src/gate/movable.ts";
import type { SuccessorProcess } from "../../src/handover/attempt.ts";
import type { CarriedState } from "../../src/handover/carried-state.ts";
import { Handover } from "../../src/handover/handover.ts";
import type { Successor } from "../../src/handover/successor.ts";
import { PassedSockets } from "../../src/net/handover/passed-sockets.ts";
import { watchWithTimer } from "../../src/net/handover/watch.ts";
import { openSocketPair } from "../../src/net/libc/socket.ts";
import type { HandoverMessage } from "../../src/protocol/handover/message.ts";
import { type FakeSuccessor, requireLibc, speak, startFakes, takeOver } from "../support/fake-successor.ts";
import { waitFor } from "../support/wait-for.ts";

const libc = requireLibc();
const ready: HandoverMessage = { kind: "ready", program: "9.9.9", pid: 1, used: [] };

/** A connection that can move: one end of a pair, whose other end stays with the test. */
interface Held {
  readonly movable: Movable;
  readonly peer: number;
}

function hold(state: Movable["state"]): Held {
  const pair = openSocketPair(libc);
  if (pair === undefined) throw new Error("There is no socket pair");
  return { movable: { state, descriptors: [pair[0]] }, peer: pair[1] };
}

/** Whether what the test says to the peer is heard at `fd`. */
function hears({ peer }: Held, fd: number | undefined): boolean {
  libc.write(peer, Buffer.from("?"), 1);
  return libc.read(fd ?? -1, new Uint8Array(1), 1) === 1;
}

/** An old process without a proxy in it: what becomes free is given, and what happens is noted. */
function openOld(
  play: (fake: FakeSuccessor) => unknown,
  release: () => AsyncIterable<Movable>,
  answerMs = 60_000,
  carried: readonly CarriedState[] = [],
) {
  const events: string[] = [];
  const back: Movable[] = [];
  const left = Promise.withResolvers<() => Promise<void>>();
  const handover = new Handover({
    libc,
    answerMs,
    release,
    watch: watchWithTimer,
    start: startFakes(play),
    program: "1.0.0",
    listSockets: () => [],
    passed: new PassedSockets(),
    carried,
    findObstacle: () => undefined,
    leave(_process: SuccessorProcess, _used, settle) {
      events.push("left");
      left.resolve(settle);
    },
    resume: () => {
      events.push("resumed");
      return Promise.resolve();
    },
    receive(movable) {
      events.push("back");
      back.push(movable);
      return true;
    },
    onQuiet: () => {},
    tell: (message) => void events.push(message.replaceAll(/[0-9]{6,}/g, "N")),
  });
  return { handover, events, back, left: left.promise };
}

async function* give(...held: readonly Held[]): AsyncGenerator<Movable> {
  for (const { movable } of held) yield movable;
}

/** A successor that serves what it takes; `knows` tells which states. */
function serve(successor: Successor, knows: (state: Movable["state"]) => boolean): Movable[] {
  const taken: Movable[] = [];
  successor.accept({
    watch: watchWithTimer,
    receive(movable) {
      if (knows(movable.state)) taken.push(movable);
      return knows(movable.state);
    },
    carried: [],
    program: "2.0.0",
    onConfirmed: () => {},
    tell: () => {},
  });
  return taken;
}

describe("state that is too much for the offer", () => {
  const carried: CarriedState = {
    name: "much",
    save: (since) => (since === undefined ? "first" : "last"),
    *rest() {
      for (let at = 0; at < 40; at += 1) yield `${at} ${"x".repeat(100_000)}`;
    },
    restore: () => true,
  };

  /** What a successor gets until the end, by kind, and the state under the name. */
  async function handOver(answer: HandoverMessage): Promise<string[]> {
    const spoken = Promise.withResolvers<ReturnType<typeof speak>>();
    const { handover, left } = openOld(
      async (fake) => {
        const channel = speak(fake);
        await waitFor(() => channel.messages.length > 0, "the offer");
        void channel.channel.send(answer);
        spoken.resolve(channel);
      },
      () => give(),
      60_000,
      [carried],
    );
    await handover.handOver("test");
    const { messages } = await spoken.promise;
    void left.then((settle) => settle());
    await waitFor(() => messages.some(({ kind }) => kind === "done"), "the end");
    return messages.flatMap((message) =>
      "state" in message ? [`${message.kind} ${JSON.stringify(message.state["much"]).split(/[" ]/)[1]}`] : [],
    );
  }

  test("follows in order to a successor that takes it, before the end", async () => {
    expect(await handOver({ ...ready, takesState: true })).toEqual([
      "offer first",
      ...Array.from({ length: 40 }, (_, at) => `state ${at}`),
      "done last",
    ]);
  });

  test("is left out for an older program, which would not know the message", async () => {
    expect(await handOver(ready)).toEqual(["offer first", "done last"]);
  });
});

describe("connections", () => {
  test("arrive alive, also when the old process has none left at once", async () => {
    const held = Array.from({ length: 300 }, (_, at) => hold({ at }));
    let taken: Movable[] = [];
    const { handover, events, left } = openOld(
      (fake) => (taken = serve(takeOver(fake), () => true)),
      () => give(...held),
    );
    expect(await handover.handOver("test")).toMatchObject({ kind: "done", program: "2.0.0" });
    await (
      await left
    )();
    expect(taken.map(({ state }) => state)).toEqual(held.map(({ movable }) => movable.state));
    expect(held.filter((each, at) => !hears(each, taken[at]?.descriptors[0]))).toEqual([]);
    expect(events.at(-1)).toBe("300 connections moved to process N.");
    // The old process has closed its copies: the peers hear the end when the successor closes its own.
    for (const { descriptors } of taken) for (const fd of descriptors) libc.close(fd);
    expect(held.filter(({ peer }) => libc.read(peer, new Uint8Array(1), 1) !== 0)).toEqual([]);
    for (const { peer } of held) libc.close(peer);
  });

  test("that the successor does not know stay here, alive", async () => {
    const held = [hold("old"), hold("new"), hold("old")];
    let taken: Movable[] = [];
    const { handover, back, left } = openOld(
      (fake) => (taken = serve(takeOver(fake), (state) => state === "old")),
      () => give(...held),
    );
    await handover.handOver("test");
    await (
      await left
    )();
    expect(taken.map(({ state }) => state)).toEqual(["old", "old"]);
    expect(back.map(({ state }) => state)).toEqual(["new"]);
    expect(held[1] && hears(held[1], back[0]?.descriptors[0])).toBe(true);
    for (const { descriptors } of [...taken, ...back]) for (const fd of descriptors) libc.close(fd);
    for (const { peer } of held) libc.close(peer);
  });

  test.each([
    ["dies", (fake: FakeSuccessor) => fake.end(), "it is gone"],
    [
      "breaks the protocol",
      (fake: FakeSuccessor) => void requireLibc().write(fake.channel, Buffer.from("nonsense"), 8),
      "it does not speak the hand-over protocol",
    ],
    ["does not answer", () => {}, "it does not answer"],
  ])("are served here again, once it accepts again, when a successor that is ready %s", async (_, act, reason) => {
    const held = [hold(1), hold(2)];
    const fakes: FakeSuccessor[] = [];
    const { handover, events, back } = openOld(
      (fake) => {
        fakes.push(fake);
        const { channel, messages } = speak(fake);
        void channel.send(ready);
        void waitFor(() => messages.some(({ kind }) => kind === "connections"), "a batch").then(() => act(fake));
      },
      () => give(...held),
      reason === "it does not answer" ? 50 : 60_000,
    );
    expect((await handover.handOver("test")).kind).toBe("done");
    await waitFor(() => back.length === 2, "the connections");
    expect(fakes[0]?.signals).toEqual(["SIGKILL"]);
    expect(events.filter((event) => event === "resumed" || event === "back")).toEqual(["resumed", "back", "back"]);
    expect(events).toContain(`Process N is lost before it had everything: ${reason}.`);
    expect(held.filter((each, at) => !hears(each, back[at]?.descriptors[0]))).toEqual([]);
    for (const { descriptors } of back) for (const fd of descriptors) libc.close(fd);
    for (const { peer } of held) libc.close(peer);
  });

  test("that a successor which leaves by itself has not taken end here, and nothing is accepted again", async () => {
    const held = [hold(1)];
    const { handover, events, back } = openOld(
      (fake) => {
        const { channel, messages } = speak(fake);
        void channel.send(ready);
        void waitFor(() => messages.some(({ kind }) => kind === "connections"), "a batch").then(async () => {
          await channel.send({ kind: "leaving" });
          fake.end();
        });
      },
      () => give(...held),
    );
    await handover.handOver("test");
    await waitFor(() => back.length === 1, "the connection");
    expect(events).not.toContain("resumed");
    for (const { descriptors } of back) for (const fd of descriptors) libc.close(fd);
    for (const { peer } of held) libc.close(peer);
  });
});
