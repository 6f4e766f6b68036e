import { describe, expect, test } from "bun:test";
import { describeThrown } from "../../../../src/proxy/hook/describe-thrown.ts";

/** An error as if it came from a file of the operator's. */
function makeError(message: string, stack: string | undefined): Error {
  const error = new RangeError(message);
  Object.defineProperty(error, "stack", { value: stack });
  return error;
}

describe("describeThrown()", () => {
  test("tells name, message and the innermost place", () => {
    const stack =
      "RangeError: no\n    at fetchRules (/etc/penstock/proxy.config.ts:12:9)\n    at /etc/penstock/proxy.config.ts:30:1";
    expect(describeThrown(makeError("no", stack))).toBe("RangeError: no (at /etc/penstock/proxy.config.ts:12:9)");
    expect(describeThrown(makeError("no", "RangeError: no\n    at async /srv/a b.ts:3:4"))).toBe(
      "RangeError: no (at async /srv/a b.ts:3:4)".replace("async ", ""),
    );
    expect(describeThrown(makeError("no", undefined))).toBe("RangeError: no");
    expect(describeThrown(makeError("no", "RangeError: no\n    at native"))).toBe("RangeError: no");
  });

  test("finds the place in a stack of this runtime", () => {
    expect(describeThrown(new Error("here"))).toMatch(/^Error: here \(at .*describe-thrown\.test\.ts:\d+:\d+\)$/);
  });

  test("takes out secrets and the user information of URLs", () => {
    const error = makeError("cannot reach https://edge:pw@db.test/x with hunter2", undefined);
    expect(describeThrown(error, ["hunter2", ""])).toBe(
      "RangeError: cannot reach https://[redacted]@db.test/x with [redacted]",
    );
  });

  test("takes them out of the place, too, which a message of several lines can pretend", () => {
    const message = "no\n    at https://edge:pw@db.test/hunter2.ts:1:2";
    const told = describeThrown(makeError(message, `RangeError: ${message}`), ["hunter2"]);
    expect(told).toEndWith(" (at https://[redacted]@db.test/[redacted].ts:1:2)");
    expect(told).not.toMatch(/hunter2|edge|pw/);
  });

  test("stays one short line, whatever the message is", () => {
    const text = describeThrown(makeError(`a\nb\x1b[2J${"x".repeat(5000)}`, undefined));
    expect(text).toStartWith("RangeError: a\\u000ab\\u001b[2Jx");
    expect(text.length).toBeLessThan(250);
  });

  test("says of other things only what they are", () => {
    expect(describeThrown("gone wrong\n")).toBe("gone wrong\\u000a");
    expect(describeThrown({ password: "hunter2" })).toBe("a value of type object");
    expect(describeThrown(undefined)).toBe("a value of type undefined");
  });

  test("does not stumble over what throws when it is looked at", () => {
    const hostile = new Error("x");
    Object.defineProperty(hostile, "message", {
      get() {
        throw new Error("again");
      },
    });
    expect(describeThrown(hostile)).toBe("something that cannot be described");
  });
});
