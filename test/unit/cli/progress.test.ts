import { describe, expect, test } from "bun:test";
import { describeShare, showProgress } from "../../../src/cli/progress.ts";
import { runCli } from "../../../src/cli/run-cli.ts";
import { createFakeIo } from "../../support/fake-io.ts";

describe("showProgress()", () => {
  test("shows how far long work is, and takes that away at its end", async () => {
    const shown: string[] = [];
    const seen = Promise.withResolvers<number>();
    const showStatus = (text: string): void => {
      shown.push(text);
      if (text.startsWith("Reading line 7 (")) seen.resolve(7);
    };
    expect(
      await showProgress(
        { showStatus },
        () => "Reading line 7",
        () => seen.promise,
      ),
    ).toBe(7);
    expect(shown[0]).toBe("Reading line 7 (1 s)");
    expect(shown.at(-1)).toBe("");
  });

  test("shows nothing of short work, and lets an error through", async () => {
    const shown: string[] = [];
    const io = { showStatus: (text: string) => void shown.push(text) };
    const failed = showProgress(
      io,
      () => "never",
      () => Promise.reject(new Error("that failed")),
    );
    expect(await failed.catch(String)).toBe("Error: that failed");
    expect(shown).toEqual([""]);
  });

  test.each([["--quiet"], ["--json"]])("is silent with %s", async (flag) => {
    const shown: string[] = [];
    const passwords = ["s3cret", "s3cret", "s3cret", "s3cret"];
    const io = createFakeIo({ showStatus: (text) => void shown.push(text), passwords });
    expect(await runCli(["passwd", flag], io)).toBe(0);
    expect(shown).toEqual([]);
    expect(await runCli(["passwd"], io)).toBe(0);
    // On a machine that is busy the hash takes longer than a second.
    expect(shown.filter((text) => !/^Hashing the password \(\d+ s\)$/.test(text))).toEqual([""]);
    expect(shown.at(-1)).toBe("");
  });
});

describe("describeShare()", () => {
  test.each<[number, number | undefined, string]>([
    [34_400_000, 120_000_000, "34 of 120 MB"],
    [34_400_000, undefined, "34 MB"],
    [34_400_000, 5, "34 MB"],
    [34_400_000, NaN, "34 MB"],
  ])("of %p and %p is %p", (bytes, total, share) => {
    expect(describeShare(bytes, total)).toBe(share);
  });
});
