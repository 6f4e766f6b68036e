import { expect, jest, test } from "bun:test";
import { KeepAlive, type Mortal } from "../../../../src/net/conn/loop-timers.ts";

function makeMortal(): Mortal & { asked: number[] } {
  const asked: number[] = [];
  return { fd: -1, asked, setKeepAlive: (ms) => asked.push(ms) };
}

test("keep-alive is turned on for connections that live, and costs those nothing that do not", () => {
  jest.useFakeTimers();
  try {
    const keeper = new KeepAlive();
    const [brief, lasting] = [makeMortal(), makeMortal()];
    keeper.add(brief);
    keeper.add(lasting);
    jest.advanceTimersByTime(4000);
    keeper.remove(brief);
    jest.advanceTimersByTime(60_000);
    expect(brief.asked).toEqual([]);
    expect(lasting.asked).toEqual([60_000]);
  } finally {
    jest.useRealTimers();
  }
});
