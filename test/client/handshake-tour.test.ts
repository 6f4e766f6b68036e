import { describe, expect } from "bun:test";
import { needs } from "../support/needs.ts";
import { TOUR_FILE, writeHandshakeTour } from "../support/write-handshake-tour.ts";

const test = needs("openssl");

/** What is the same in every tour, in no order and wherever lines break: all but times, sizes, ports, dates and random bytes, and who closes when. */
function listStableWords(page: string): string[] {
  return page
    .split("\n")
    .filter((line) => !/TCP end|close_notify|level/.test(line))
    .join(" ")
    .replaceAll(/[0-9a-f]{32,}|[0-9A-F]{30,}/g, "HEX")
    .replaceAll(/\w{3}, \d\d \w{3} \d{4}/g, "DATE")
    .replaceAll(/[\d,.:]*\d/g, "0")
    .split(/[ ─│]+/)
    .toSorted();
}

describe("docs/handshake.md", () => {
  test("is what the tour shows today", async () => {
    const kept = await Bun.file(TOUR_FILE).text();
    expect(listStableWords(await writeHandshakeTour())).toEqual(listStableWords(kept));
  });
});
