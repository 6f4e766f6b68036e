import { describe, expect, test } from "bun:test";
import { encodeFatalAlert } from "../../../../../src/protocol/tls/read/encode-alert.ts";
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
