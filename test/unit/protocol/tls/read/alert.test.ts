import { describe, expect, test } from "bun:test";
import { encodeFatalAlert, endsWithAlert, MAX_ALERT_BYTES } from "../../../../../src/protocol/tls/read/alert.ts";
import { nameAlert } from "../../../../../src/protocol/tls/read/iana.ts";
import { watchAll } from "../../../../support/tls-fixture.ts";

describe("encodeFatalAlert()", () => {
  test.each([
    "handshake_failure",
    "access_denied",
    "decode_error",
    "protocol_version",
    "internal_error",
    "unrecognized_name",
  ] as const)("writes %s as a watcher reads it", (description) => {
    const [event] = watchAll("server", encodeFatalAlert(description));
    if (event?.kind !== "alert") throw new Error("An alert was expected");
    expect(event.level).toBe(2);
    expect(nameAlert(event.description)).toBe(description);
  });
});

/** A record of so many octets of content. */
function record(type: number, length: number): Buffer {
  return Buffer.concat([Buffer.from([type, 3, 3, 0, length]), Buffer.alloc(length, 0xab)]);
}

const data = record(0x17, 200);

test("endsWithAlert() finds the alert at the end, in clear or encrypted", () => {
  for (const alert of [record(0x15, 2), record(0x15, 26), record(0x15, 80), record(0x17, 19), record(0x17, 11)])
    for (const tail of [alert, Buffer.concat([data, alert]), Buffer.concat([data, alert]).subarray(-MAX_ALERT_BYTES)])
      expect(endsWithAlert(tail)).toBe(true);
});

test("endsWithAlert() takes neither data, nor half an alert, nor one with something behind it for the end", () => {
  const alert = record(0x15, 26);
  for (const tail of [
    Buffer.alloc(0),
    data,
    record(0x17, 20),
    record(0x16, 19),
    alert.subarray(0, -1),
    Buffer.concat([alert, data]),
    Buffer.concat([data, Buffer.from([0x15, 3, 3, 0, 0])]),
  ])
    expect(endsWithAlert(tail)).toBe(false);
});
