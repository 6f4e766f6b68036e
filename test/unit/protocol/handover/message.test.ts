import { describe, expect, test } from "bun:test";
import {
  decodeMessage,
  encodeMessage,
  type HandoverMessage,
  type Offer,
} from "../../../../src/protocol/handover/message.ts";
import type { FrameKind } from "../../../../src/protocol/handover/frame.ts";

const offer: Offer = {
  kind: "offer",
  program: "1.2.3",
  pid: 17,
  clockOriginMs: 1234.5,
  sockets: [
    { kind: "listener", host: "127.0.0.1", port: 0, bound: 4711 },
    { kind: "sidecar", host: "::1", port: 9080, bound: 9080 },
    { kind: "unix", path: "/run/penstock.sock" },
    { kind: "activated", name: "edge" },
  ],
  state: { digest: { key: "a" }, other: [1, null, true] },
};

const messages: readonly HandoverMessage[] = [
  offer,
  { kind: "ready", program: "1.2.4", pid: 18, used: [0, 3] },
  { kind: "ready", program: "1.2.4", pid: 18, used: [], takesState: true },
  { kind: "failed", code: 78, problems: ['listen: "x" is not an address.'] },
  { kind: "confirmed" },
  {
    kind: "connections",
    batch: 3,
    connections: [
      { descriptors: 2, state: { up: "aGVsbG8=" } },
      { descriptors: 0, state: null },
    ],
  },
  { kind: "taken", batch: 3, refused: [1] },
  { kind: "state", state: { sessions: { exits: [] } } },
  { kind: "done", state: {} },
  { kind: "leaving" },
  { kind: "settled" },
];

function decode(kind: FrameKind, text: string, descriptors = 0): HandoverMessage | undefined {
  return decodeMessage({ kind, descriptors, payload: Buffer.from(text, "latin1") });
}

describe("a message of a hand-over", () => {
  test.each(messages.map((message) => [message.kind, message] as const))(
    "%s is read as it was written",
    (_, message) => {
      expect(decodeMessage(encodeMessage(message))).toEqual(message);
    },
  );

  test("counts its descriptors", () => {
    expect(messages.map((message) => encodeMessage(message).descriptors)).toEqual([4, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0]);
  });

  test("with another number of descriptors than its frame is refused", () => {
    const frame = encodeMessage(offer);
    expect(decodeMessage({ ...frame, descriptors: 3 })).toBeUndefined();
    expect(decodeMessage({ ...encodeMessage({ kind: "leaving" }), descriptors: 1 })).toBeUndefined();
  });

  test("may have members that are not known", () => {
    expect(decode("taken", '{"batch":1,"refused":[],"later":[{}]}')).toEqual({ kind: "taken", batch: 1, refused: [] });
  });

  test.each([
    ["offer", "", "nothing"],
    ["offer", "{", "no JSON"],
    ["leaving", '"text"', "a text"],
    ["leaving", "[]", "a list"],
    ["leaving", "null", "null"],
    ["leaving", '{"a":"\xff"}', "no UTF-8"],
    ["offer", '{"program":"1","pid":1,"clockOriginMs":0,"sockets":[{"kind":"tcp"}],"state":{}}', "an unknown socket"],
    ["offer", '{"program":"1","pid":1,"clockOriginMs":0,"sockets":{},"state":{}}', "no list of sockets"],
    ["offer", '{"program":"1","pid":1,"clockOriginMs":null,"sockets":[],"state":{}}', "no clock"],
    ["offer", '{"program":"1","pid":-1,"clockOriginMs":0,"sockets":[],"state":{}}', "a negative number"],
    ["offer", '{"program":"1","pid":1,"clockOriginMs":0,"sockets":[],"state":[]}', "a list of states"],
    ["ready", '{"program":"1","pid":1,"used":[253]}', "a place beyond all"],
    ["ready", '{"program":"1","pid":1,"used":[0.5]}', "half a place"],
    ["failed", '{"code":256,"problems":[]}', "a code that no process has"],
    ["failed", '{"code":1,"problems":[1]}', "a problem that is no text"],
    ["connections", '{"batch":1,"connections":[{"descriptors":0}]}', "no state"],
    ["connections", '{"batch":1,"connections":[{"descriptors":-1,"state":1}]}', "fewer than no descriptors"],
    ["taken", '{"batch":"1","refused":[]}', "a number as text"],
    ["done", "{}", "no state"],
  ] as const)("%s %s is refused: %s", (kind, text) => {
    expect(decode(kind, text)).toBeUndefined();
  });

  test("with a port beyond 65,535 is refused", () => {
    const socket = '{"kind":"listener","host":"::","port":65536,"bound":1}';
    const text = `{"program":"1","pid":1,"clockOriginMs":0,"sockets":[${socket}],"state":{}}`;
    expect(decode("offer", text, 1)).toBeUndefined();
    expect(decode("offer", text.replace("65536", "65535"), 1)).toMatchObject({ kind: "offer" });
  });
});
