import { expect, test } from "bun:test";
import { RecordWalk } from "../../../../src/proxy/inspect/record-walk.ts";
import { buildRecords, concat, u8 } from "../../../support/build-client-hello.ts";

type Heard = [type: number, length: number, first: number, second: number];

/** What a listener hears of `bytes` in pieces of one size; it stops at records of type `last`. */
function walk(bytes: Uint8Array, pieceBytes: number, last = -1): Heard[] {
  const heard: Heard[] = [];
  const records = new RecordWalk();
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const goesOn = records.push(bytes.subarray(at, at + pieceBytes), {
      record(...record) {
        heard.push(record);
        return record[0] !== last;
      },
    });
    if (!goesOn) break;
  }
  return heard;
}

const stream = concat(
  buildRecords(20, u8(1)),
  buildRecords(23, new Uint8Array(500).fill(9)),
  u8(23, 3, 3, 0, 0),
  buildRecords(21, u8(2, 48)),
  buildRecords(22, u8(7, 8, 9)),
);

test("a record walk tells of every record, wherever the bytes are cut", () => {
  for (const pieceBytes of [Infinity, 1, 2, 5, 7, 100])
    expect(walk(stream, pieceBytes)).toEqual([
      [20, 1, 1, -1],
      [23, 500, 9, 9],
      [23, 0, -1, -1],
      [21, 2, 2, 48],
      [22, 3, 7, 8],
    ]);
});

test("a record walk stops when nobody listens any more", () => {
  expect(walk(stream, 3, 23)).toHaveLength(2);
});

test("a record walk waits for the beginning of a record", () => {
  expect(walk(stream.subarray(0, 5), Infinity)).toEqual([]);
  expect(walk(stream.subarray(0, 6 + 6), Infinity)).toEqual([[20, 1, 1, -1]]);
  expect(walk(stream.subarray(0, 6 + 7), Infinity)).toHaveLength(2);
});
