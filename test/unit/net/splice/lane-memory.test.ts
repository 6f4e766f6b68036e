import { describe, expect, test } from "bun:test";
import {
  announceListening,
  announceSleep,
  command,
  createLaneMemory,
  mapLaneMemory,
  pushCommand,
  pushCompletion,
  readCommandSlot,
  readOperation,
  slot,
  slotWords,
  takeCommand,
  takeCompletion,
} from "../../../../src/net/splice/lane-memory.ts";
import { maxBuckets } from "../../../../src/net/conn/lanes.ts";

describe("createLaneMemory()", () => {
  test("is seen alike from the other side, and its parts do not overlap", () => {
    const owner = createLaneMemory(10, 3);
    const lane = mapLaneMemory(owner.buffer, 10, 3);
    const parts = ["counts", "header", "slotTable", "commands", "completions", "pipes"] as const;
    parts.forEach((part, index) => owner[part].fill(index + 1));
    parts.forEach((part, index) => expect(new Set(lane[part])).toEqual(new Set([index + 1])));
    expect(lane.slotTable).toHaveLength(10 * slotWords);
    expect(Math.max(...Object.values(slot))).toBe(slotWords - 1);
    // The buckets of a direction are several words.
    expect([slot.downBuckets - slot.upBuckets, slot.upWaitsFor - slot.downBuckets]).toEqual([maxBuckets, maxBuckets]);
    expect(lane.counts).toHaveLength(20);
    expect(lane.pipes).toHaveLength(6);
  });

  test("begins with no pipe and nothing in the rings", () => {
    const memory = createLaneMemory(4, 2);
    expect([...memory.pipes]).toEqual([-1, -1, -1, -1]);
    expect(takeCommand(memory)).toBe(-1);
    expect(takeCompletion(memory)).toBe(-1);
  });
});

describe("the rings of a lane", () => {
  test("carry commands in order, with their slots", () => {
    const memory = createLaneMemory(16_384, 1);
    pushCommand(memory, command.adopt, 0);
    pushCommand(memory, command.kill, 16_383);
    pushCommand(memory, command.stop, 0);
    const entries = [takeCommand(memory), takeCommand(memory), takeCommand(memory)];
    expect(entries.map((entry) => [readOperation(entry), readCommandSlot(entry)])).toEqual([
      [command.adopt, 0],
      [command.kill, 16_383],
      [command.stop, 0],
    ]);
    expect(takeCommand(memory)).toBe(-1);
  });

  test("have room for all that a lane can have under way, over and over", () => {
    const slots = 5;
    const memory = createLaneMemory(slots, 1);
    for (let round = 0; round < 1000; round += 1) {
      for (let number = 0; number < slots; number += 1) {
        for (const operation of [command.kill, command.adopt, command.kill]) pushCommand(memory, operation, number);
        pushCompletion(memory, number);
      }
      for (let number = 0; number < slots; number += 1) {
        for (const operation of [command.kill, command.adopt, command.kill]) {
          const entry = takeCommand(memory);
          expect([readOperation(entry), readCommandSlot(entry)]).toEqual([operation, number]);
        }
        expect(takeCompletion(memory)).toBe(number);
      }
    }
  });

  test("go on when the positions pass the largest integer", () => {
    const memory = createLaneMemory(4, 1);
    for (const word of [0, 16]) memory.header[word] = 0x7fff_fffe;
    for (let number = 0; number < 8; number += 1) {
      pushCommand(memory, command.adopt, number % 4);
      expect(readCommandSlot(takeCommand(memory))).toBe(number % 4);
    }
    expect(takeCommand(memory)).toBe(-1);
  });
});

describe("waking", () => {
  test("a command wakes a lane that sleeps, once", () => {
    const memory = createLaneMemory(4, 1);
    expect(announceSleep(memory)).toBe(true);
    expect(pushCommand(memory, command.adopt, 1)).toBe(true);
    expect(pushCommand(memory, command.adopt, 2)).toBe(false);
  });

  test("a lane with a command waiting does not go to sleep, and need not be woken", () => {
    const memory = createLaneMemory(4, 1);
    expect(pushCommand(memory, command.adopt, 1)).toBe(false);
    expect(announceSleep(memory)).toBe(false);
    expect(pushCommand(memory, command.adopt, 2)).toBe(false);
  });

  test("the owner is woken once until it listens again", () => {
    const memory = createLaneMemory(4, 1);
    expect([pushCompletion(memory, 0), pushCompletion(memory, 1)]).toEqual([true, false]);
    announceListening(memory);
    expect([takeCompletion(memory), takeCompletion(memory), takeCompletion(memory)]).toEqual([0, 1, -1]);
    expect(pushCompletion(memory, 2)).toBe(true);
  });
});
