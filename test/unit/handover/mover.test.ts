import { describe, expect, test } from "bun:test";
import type { Movable } from "../../../src/gate/movable.ts";
import { Mover } from "../../../src/handover/mover.ts";
import type { Connections } from "../../../src/protocol/handover/message.ts";
import { waitFor } from "../../support/wait-for.ts";

/** Something with two descriptors of its own; numbers alone, nothing is open. */
const movable = (id: number, state: Movable["state"] = { id }): Movable => ({
  state,
  descriptors: [1000 + 2 * id, 1001 + 2 * id],
});

/** A mover whose batches the test answers. */
function openStand(release: () => AsyncIterable<Movable>, answerMs = 60_000) {
  const sent: { message: Connections; descriptors: readonly number[] }[] = [];
  const back: Movable[] = [];
  const closed: number[] = [];
  const told: string[] = [];
  const mover = new Mover({
    release,
    answerMs,
    receive(connection) {
      back.push(connection);
      return connection.state !== "unknown";
    },
    send(message, descriptors) {
      sent.push({ message, descriptors });
      return Promise.resolve();
    },
    closeDescriptor: (fd) => void closed.push(fd),
    onQuiet: () => void told.push("quiet"),
    onStuck: () => void told.push("stuck"),
  });
  /** Answers the next batch once it is there. */
  const answer = async (refused: readonly number[] = []): Promise<number> => {
    const { message } = await waitFor(() => sent[answered], "a batch");
    answered += 1;
    expect(mover.answer({ kind: "taken", batch: message.batch, refused })).toBe(true);
    return message.connections.length;
  };
  let answered = 0;
  return { mover, sent, back, closed, told, answer };
}

async function* give(...movables: readonly Movable[]): AsyncGenerator<Movable> {
  for (const each of movables) yield each;
}

/** Gives these, and then nothing for ever. */
async function* giveAndWait(...movables: readonly Movable[]): AsyncGenerator<Movable> {
  yield* give(...movables);
  await new Promise(() => {});
}

describe("a mover", () => {
  test("sends one batch at a time, none with more than 253 descriptors, and closes what was taken", async () => {
    const all = Array.from({ length: 300 }, (_, id) => movable(id));
    const { mover, sent, closed, answer } = openStand(() => give(...all));
    const done = mover.run();
    let taken = 0;
    for (let answered = 1; taken < 300; answered += 1) {
      taken += await answer();
      expect(sent.length).toBeLessThanOrEqual(answered + 1);
      expect(closed.length).toBe(2 * taken);
    }
    await done;
    expect(mover.moved).toBe(300);
    for (const { descriptors } of sent) expect(descriptors.length).toBeLessThanOrEqual(253);
    expect(sent.flatMap(({ descriptors }) => descriptors)).toEqual(all.flatMap(({ descriptors }) => [...descriptors]));
    expect(sent.flatMap(({ message }) => message.connections.map(({ state }) => state))).toEqual(
      all.map(({ state }) => state),
    );
  });

  test("puts no more than about 1 MiB of state into a batch", async () => {
    const state = "x".repeat(400_000);
    const { mover, answer } = openStand(() => give(...[0, 1, 2, 3, 4].map((id) => movable(id, state))));
    const done = mover.run();
    expect(await answer()).toBe(1);
    expect([await answer(), await answer()]).toEqual([2, 2]);
    await done;
  });

  test("serves here what is too long for a message", async () => {
    const long = movable(1, "x".repeat(6 * 1024 * 1024));
    const { mover, sent, back } = openStand(() => give(long));
    await mover.run();
    expect(sent).toEqual([]);
    expect(back).toEqual([long]);
  });

  test("serves here what the successor refuses, and gives up after two batches of that", async () => {
    const { mover, back, closed, answer } = openStand(() => giveAndWait(movable(0), movable(1), movable(2)));
    const done = mover.run();
    expect(await answer([0])).toBe(1);
    expect(await answer([0, 1])).toBe(2);
    await done;
    expect(back).toEqual([movable(0), movable(1), movable(2)]);
    expect(closed).toEqual([]);
    expect(mover.moved).toBe(0);
  });

  test("goes on after a batch of which the successor refuses a part", async () => {
    const { mover, back, answer } = openStand(() => give(movable(0), movable(1), movable(2), movable(3)));
    const done = mover.run();
    expect(await answer()).toBe(1);
    expect(await answer([1])).toBe(3);
    await done;
    expect(back).toEqual([movable(2)]);
    expect(mover.moved).toBe(3);
  });

  test("serves everything here that was not taken when the successor is gone", async () => {
    let given = 0;
    const { mover, sent, back, closed } = openStand(async function* () {
      for (; given < 3; given += 1) yield movable(given);
      await new Promise(() => {});
    });
    const done = mover.run();
    await waitFor(() => sent.length === 1 && given === 3, "a batch, and more that waits");
    mover.lose();
    await done;
    expect(back).toEqual([movable(0), movable(1), movable(2)]);
    expect(closed).toEqual([]);
    expect(mover.answer({ kind: "taken", batch: 1, refused: [] })).toBe(false);
  });

  test("serves here what becomes free too late", async () => {
    const late = Promise.withResolvers<void>();
    const { mover, back } = openStand(async function* () {
      await late.promise;
      yield movable(7);
    });
    const done = mover.run();
    await mover.stop();
    await done;
    late.resolve();
    await waitFor(() => back.length === 1, "the connection");
    expect(back).toEqual([movable(7)]);
  });

  test("closes what neither process can serve", async () => {
    const { mover, closed, answer } = openStand(() => give(movable(3, "unknown")));
    const done = mover.run();
    await answer([0]);
    await done;
    expect(closed).toEqual([1006, 1007]);
  });

  test("stops with what is under way", async () => {
    const { mover, answer } = openStand(() => giveAndWait(movable(0)));
    void mover.run();
    await answer();
    await mover.stop();
    expect(mover.moved).toBe(1);
  });

  test("does not take more than it can send soon", async () => {
    let given = 0;
    const { mover, answer } = openStand(async function* () {
      for (; given < 1000; given += 1) yield movable(given);
    });
    const done = mover.run();
    await waitFor(() => given > 200, "some of them");
    for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
    expect(given).toBeLessThan(300);
    for (let taken = 0; taken < 1000;) taken += await answer();
    await done;
    expect(mover.moved).toBe(1000);
  });

  test("tells when nothing becomes free for a while, and when no answer comes", async () => {
    const { mover, told } = openStand(() => giveAndWait(movable(0)), 20);
    const done = mover.run();
    await waitFor(() => told.length === 2, "both");
    expect(told).toEqual(["stuck", "quiet"]);
    mover.lose();
    await done;
  });
});
