import { describe, expect, test } from "bun:test";
import { findUnseen } from "../../support/documented-lines.ts";

const output =
  "\u001b[32mrule:\u001b[0m    packages\nListening on 127.0.0.1:40123.\r\nHanded over to process 17 (Penstock 0.1.0).\n";

describe("what a page shows of an output", () => {
  test("may differ in numbers, spaces and colours, and has … where anything may be", () => {
    const shown = ["rule: packages", "…", "", "Listening on 127.0.0.1:8080.", "Handed over to … (Penstock 0.2.0)."];
    expect(findUnseen(shown, output)).toEqual([]);
  });

  test("is told to be wrong in any other word, and where a part of a line is missing", () => {
    const shown = ["rule: package", "Listening on", "Handed over to process 4711."];
    expect(findUnseen(shown, output)).toEqual(shown);
    expect(findUnseen(shown, output, /^(rule|Handed)/)).toEqual(["Listening on"]);
  });
});
