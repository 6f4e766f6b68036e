import { describe, expect, test } from "bun:test";
import { ServerSentEvents } from "../../../src/protocol/server-sent-events.ts";

const stream = Buffer.from(
  "retry: 2000\n: a comment\n\nid: 1\nevent: one\ndata: a\ndata:b\n\r\nid:2\r\ndata\r\n\r\nevent: empty\n\ndata: é\rid: 3\r\r: x\n",
);
const expected = [
  { type: "one", data: "a\nb", id: "1" },
  { type: "message", data: "", id: "2" },
  { type: "message", data: "é", id: "3" },
];

describe("ServerSentEvents", () => {
  test("reads events however the bytes are cut", () => {
    expect(new ServerSentEvents().read(stream)).toEqual(expected);
    for (const size of [1, 2, 3, 5, 11]) {
      const reader = new ServerSentEvents();
      const events = [];
      for (let at = 0; at < stream.length; at += size) events.push(...reader.read(stream.subarray(at, at + size)));
      expect(events).toEqual(expected);
    }
  });

  test("does not take the beginning of an event for an event", () => {
    expect(new ServerSentEvents().read(Buffer.from("id: 1\ndata: half"))).toEqual([]);
  });

  test("refuses a line without an end", () => {
    const reader = new ServerSentEvents();
    expect(() => {
      for (let round = 0; round < 40; round += 1) reader.read(Buffer.alloc(65_536, "x"));
    }).toThrow("too long");
  });
});
