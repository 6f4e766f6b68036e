import { describe, expect, test } from "bun:test";
import { readRenewalWindow, readRetryAfter } from "../../../src/acme/answers.ts";
import { readRenewalId } from "../../../src/acme/renewal-id.ts";
import {
  chooseBackOff,
  chooseNextLook,
  chooseSuggestedTime,
  chooseUsualTime,
  findEarliestTime,
} from "../../../src/acme/renewal-time.ts";

/** RFC 9773, appendix A. */
const EXAMPLE = `-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
`;

const DAY = 86_400_000;
const life = { from: 0, to: 90 * DAY };

describe("readRenewalId()", () => {
  test("gives that of RFC 9773 §4.1, with the zero that keeps the serial number positive", () => {
    expect(readRenewalId(EXAMPLE)).toBe("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
  });
});

describe("the time of a renewal", () => {
  test("is after two thirds of a long life and half of a short one, where nothing is suggested", () => {
    expect(chooseUsualTime(life, 0.5)).toBeCloseTo(60 * DAY, -3);
    expect(chooseUsualTime({ from: 0, to: 6 * DAY }, 0.5)).toBeCloseTo(3 * DAY, -3);
    expect(chooseUsualTime(life, 0)).toBeLessThan(chooseUsualTime(life, 1));
  });

  test("is any moment of the suggested window, and not so late that nothing is left for failures", () => {
    const window = { start: 50 * DAY, end: 60 * DAY, explanation: undefined };
    expect(chooseSuggestedTime(window, life, 0)).toBe(50 * DAY);
    expect(chooseSuggestedTime(window, life, 0.5)).toBe(55 * DAY);
    expect(chooseSuggestedTime({ ...window, start: 100 * DAY, end: 200 * DAY }, life, 0.5)).toBe(75 * DAY);
  });

  test("is not at once after the certificate was issued, whatever is suggested", () => {
    expect(findEarliestTime(life)).toBe(DAY);
    expect(findEarliestTime({ from: 0, to: 5 * DAY })).toBe(DAY / 2);
  });
});

describe("readRenewalWindow()", () => {
  const read = (start: unknown, end: unknown, more = {}) =>
    readRenewalWindow({ suggestedWindow: { start, end }, ...more });

  test("reads RFC 3339, with what the authority says of it", () => {
    expect(
      read("2021-01-03T00:00:00Z", "2021-01-07T00:00:00+01:00", { explanationURL: "https://a.example/\u001b[2J" }),
    ).toEqual({
      start: Date.UTC(2021, 0, 3),
      end: Date.UTC(2021, 0, 6, 23),
      explanation: "https://a.example/\\u001b[2J",
    });
  });

  test("ignores a window that ends before it begins, and what is no time", () => {
    expect(read("2021-01-07T00:00:00Z", "2021-01-03T00:00:00Z")).toBeUndefined();
    expect(read("2021-01-03T00:00:00Z", "2021-01-03T00:00:00Z")).toBeUndefined();
    for (const wrong of ["tomorrow", 5, undefined, "2021-99-03T00:00:00Z", "+275760-09-13T00:00:00Z"])
      expect(read("2021-01-03T00:00:00Z", wrong)).toBeUndefined();
    expect(readRenewalWindow({})).toBeUndefined();
  });
});

describe("waiting", () => {
  test("reads Retry-After as seconds or as a date, and nothing else", () => {
    expect(readRetryAfter("120", 0)).toBe(120_000);
    expect(readRetryAfter("Sun, 06 Nov 1994 08:49:37 GMT", Date.UTC(1994, 10, 6, 8, 49, 0))).toBe(37_000);
    expect(readRetryAfter("Sun, 06 Nov 1994 08:49:37 GMT", Date.UTC(2000, 0, 1))).toBe(0);
    for (const wrong of ["-5", "1.5", "soon", "", "99999999999", "2030-01-01", undefined])
      expect(readRetryAfter(wrong, 0)).toBeUndefined();
  });

  test("asks about renewal no more than once a minute and at least once a day", () => {
    expect(chooseNextLook(0)).toBe(60_000);
    expect(chooseNextLook(21_600_000)).toBe(21_600_000);
    expect(chooseNextLook(365 * DAY)).toBe(DAY);
    expect(chooseNextLook(undefined)).toBe(21_600_000);
  });

  test("grows with failures, up to half a day, and is shorter for a server that is away", () => {
    const each = (isAway: boolean) =>
      [1, 2, 3, 30].map((failures) => chooseBackOff(failures, isAway, undefined, 0.5) / 60_000);
    expect(each(false)).toEqual([5, 10, 20, 720]);
    expect(each(true)).toEqual([1, 2, 4, 60]);
    expect(chooseBackOff(1, false, undefined, 0)).toBeCloseTo(240_000);
    expect(chooseBackOff(1, false, undefined, 1)).toBeCloseTo(360_000);
  });

  test("is as long as the server says, but not a year", () => {
    expect(chooseBackOff(1, false, 7_200_000, 0)).toBe(7_200_000);
    expect(chooseBackOff(1, false, 365 * DAY, 0)).toBe(14 * DAY);
  });
});
