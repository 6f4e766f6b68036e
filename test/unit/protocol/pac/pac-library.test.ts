import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { SandboxOptions } from "../../../../src/pac/pac-sandbox.ts";
import type { KnownNames } from "../../../../src/proxy/pac/pac-file.ts";
import { evaluateInPac, type OpenPac, openPac } from "../../../support/open-pac.ts";

/** Puts expressions into one PAC file. Gives what evaluates one of them by its number. */
function shareFile(expressions: readonly string[], options?: Partial<SandboxOptions>) {
  let pac: OpenPac;
  beforeAll(async () => {
    const functions = expressions.map((expression) => `function () { return ${expression}; }`);
    pac = await openPac(
      `var all = [${functions.join()}]; function FindProxyForURL(url) { return JSON.stringify(all[url.split("?")[1]]()); }`,
      options,
    );
  });
  afterAll(() => pac[Symbol.dispose]());
  return async (at: number, names?: KnownNames): Promise<unknown> => {
    const step = await pac.find(`http://host.example/?${at}`, "host.example", names);
    if (step.kind !== "answer" || step.text === undefined) throw new Error(JSON.stringify(step));
    return JSON.parse(step.text);
  };
}

/** Expressions and what they are, one each. */
function vectors(rows: readonly (readonly [expression: string, value: unknown])[], names = {}): void {
  const evaluate = shareFile(rows.map(([expression]) => expression));
  test.each(rows.map(([expression, value], at) => [expression, value, at] as const))(
    "%s is %p",
    async (_, value, at) => {
      expect(await evaluate(at, names)).toEqual(value);
    },
  );
}

describe("isPlainHostName", () => {
  vectors([
    [`isPlainHostName("www")`, true],
    [`isPlainHostName("www.mozilla.org")`, false],
    [`isPlainHostName("2001:db8::1")`, false],
    [`isPlainHostName("")`, true],
  ]);
});

describe("dnsDomainIs", () => {
  vectors([
    [`dnsDomainIs("www.mozilla.org", ".mozilla.org")`, true],
    [`dnsDomainIs("www", ".mozilla.org")`, false],
    [`dnsDomainIs("www.notmozilla.org", ".mozilla.org")`, false],
    [`dnsDomainIs("mozilla.org", ".mozilla.org")`, false],
    [`dnsDomainIs("mozilla.org", "mozilla.org")`, true],
  ]);
});

describe("localHostOrDomainIs", () => {
  vectors([
    [`localHostOrDomainIs("www.mozilla.org", "www.mozilla.org")`, true],
    [`localHostOrDomainIs("www", "www.mozilla.org")`, true],
    [`localHostOrDomainIs("www.google.com", "www.mozilla.org")`, false],
    [`localHostOrDomainIs("home.mozilla.org", "www.mozilla.org")`, false],
    [`localHostOrDomainIs("ww", "www.mozilla.org")`, false],
  ]);
});

describe("dnsDomainLevels", () => {
  vectors([
    [`dnsDomainLevels("www")`, 0],
    [`dnsDomainLevels("mozilla.org")`, 1],
    [`dnsDomainLevels("www.mozilla.org")`, 2],
  ]);
});

describe("convert_addr", () => {
  vectors([
    [`convert_addr("104.16.41.2")`, 1745889538],
    [`convert_addr("0.0.0.1")`, 1],
  ]);
});

describe("shExpMatch", () => {
  vectors([
    [`shExpMatch("http://home.netscape.com/people/ari/index.html", "*/ari/*")`, true],
    [`shExpMatch("http://home.netscape.com/people/montulli/index.html", "*/ari/*")`, false],
    [`shExpMatch("www.a.example", "*.a.example")`, true],
    [`shExpMatch("wwwXa.example", "*.a.example")`, false],
    [`shExpMatch("a.example.net", "*.example")`, false],
    [`shExpMatch("abc", "a?c")`, true],
    [`shExpMatch("ac", "a?c")`, false],
    [`shExpMatch("", "*")`, true],
    [`shExpMatch("a+b$c^d", "a+b$c^d")`, true],
    [`shExpMatch("aab", "a+b")`, false],
    [`shExpMatch("www.b.example", "(*.a.example|*.b.example)")`, true],
    [`shExpMatch("h7", "h[0-9]")`, true],
    [`shExpMatch("a(b", "a(b")`, true],
    [`shExpMatch("a\\nb", "a*b")`, true],
  ]);
});

describe("names and addresses", () => {
  const names = {
    "host.example": ["2001:db8::5", "198.51.100.95", "198.51.100.96"],
    "six.example": ["2001:db8::6"],
    "nothing.example": [],
  };
  vectors(
    [
      [`dnsResolve("host.example")`, "198.51.100.95"],
      [`dnsResolve("HOST.example")`, "198.51.100.95"],
      [`dnsResolve("192.0.2.9")`, "192.0.2.9"],
      [`dnsResolve("six.example")`, null],
      [`dnsResolve("nothing.example")`, null],
      [`dnsResolve("not a host")`, null],
      [`dnsResolve("")`, null],
      [`dnsResolve()`, null],
      [`dnsResolveEx("host.example")`, "2001:db8::5;198.51.100.95;198.51.100.96"],
      [`dnsResolveEx("nothing.example")`, ""],
      [`isResolvable("host.example")`, true],
      [`isResolvable("six.example")`, false],
      [`isResolvableEx("six.example")`, true],
      [`isResolvable("nothing.example")`, false],
      [`isResolvable("0x7f.1")`, false],
      [`isInNet("host.example", "198.51.100.0", "255.255.255.0")`, true],
      [`isInNet("host.example", "198.51.101.0", "255.255.255.0")`, false],
      [`isInNet("198.95.249.79", "198.95.249.79", "255.255.255.255")`, true],
      [`isInNet("198.95.249.79", "198.95.0.0", "255.255.0.0")`, true],
      [`isInNet("198.95.249.79", "198.96.0.0", "255.255.0.0")`, false],
      [`isInNet("10.1.2.3", "10.9.9.9", "255.0.0.0")`, true],
      [`isInNet("nothing.example", "0.0.0.0", "0.0.0.0")`, false],
      [`isInNet("10.1.2.3", "10.0.0.0", "255.256.0.0")`, false],
      [`isInNet("10.1.2.3", "10.0.0", "255.0.0.0")`, false],
      [`isInNetEx("six.example", "2001:db8::/32")`, true],
      [`isInNetEx("six.example", "10.0.0.0/8")`, false],
      [`isInNetEx("10.1.2.3", "10.0.0.0/8")`, true],
      [`isInNetEx("10.1.2.3", "nonsense")`, false],
      [`myIpAddress()`, "192.0.2.7"],
      [`myIpAddressEx()`, "192.0.2.7"],
      [`sortIpAddressList("10.2.3.9;2001:db8::1;10.2.3.5")`, "2001:db8::1;10.2.3.5;10.2.3.9"],
      [`getClientVersion()`, "1.0"],
      [`alert("hello") === undefined`, true],
    ],
    names,
  );

  test("a machine without addresses says 127.0.0.1", async () => {
    expect(await evaluateInPac("myIpAddress()", { ownAddresses: () => [] })).toBe("127.0.0.1");
  });
});

/** Expressions, a moment in UTC, and what they are then. One hour east of UTC. */
function moments(rows: readonly (readonly [expression: string, utc: string, value: boolean])[]): void {
  let now = 0;
  const evaluate = shareFile(
    rows.map(([expression]) => expression),
    { now: () => now, timezoneOffset: -60 },
  );
  test.each(rows.map(([expression, utc, value], at) => [expression, utc, value, at] as const))(
    "%s at %s is %p",
    async (_, utc, value, at) => {
      now = Date.parse(utc);
      expect(await evaluate(at)).toBe(value);
    },
  );
}

describe("weekdayRange", () => {
  moments([
    // A Saturday.
    ["weekdayRange('SAT')", "2026-11-28T12:00:00Z", true],
    ["weekdayRange('sat')", "2026-11-28T12:00:00Z", true],
    ["weekdayRange('MON', 'FRI')", "2026-11-28T12:00:00Z", false],
    ["weekdayRange('MON', 'FRI')", "2026-11-27T12:00:00Z", true],
    ["weekdayRange('FRI', 'MON')", "2026-11-28T12:00:00Z", true],
    ["weekdayRange('SUN')", "2026-11-28T23:30:00Z", true],
    ["weekdayRange('SUN', 'GMT')", "2026-11-28T23:30:00Z", false],
    ["weekdayRange('SAT', 'SAT', 'GMT')", "2026-11-28T23:30:00Z", true],
    ["weekdayRange('SATURDAY')", "2026-11-28T12:00:00Z", false],
    ["weekdayRange()", "2026-11-28T12:00:00Z", false],
  ]);
});

describe("dateRange", () => {
  const noon = "2026-11-28T12:00:00Z";
  moments([
    ["dateRange(28)", noon, true],
    ["dateRange(1)", noon, false],
    ["dateRange(29)", "2026-11-28T23:30:00Z", true],
    ["dateRange(29, 'GMT')", "2026-11-28T23:30:00Z", false],
    ["dateRange(1, 15)", noon, false],
    ["dateRange(15, 30)", noon, true],
    ["dateRange(25, 3)", noon, true],
    ["dateRange(28, 'NOV')", noon, true],
    ["dateRange(24, 'DEC')", noon, false],
    ["dateRange(28, 'NOV', 2026)", noon, true],
    ["dateRange(28, 'NOV', 1995)", noon, false],
    ["dateRange('NOV')", noon, true],
    ["dateRange('JAN', 'MAR')", noon, false],
    ["dateRange('NOV', 'FEB')", noon, true],
    ["dateRange(1, 'JUN', 15, 'AUG')", noon, false],
    ["dateRange(1, 'NOV', 15, 'DEC')", noon, true],
    ["dateRange(20, 'NOV', 3, 'JAN')", noon, true],
    ["dateRange(1, 'JUN', 1995, 15, 'AUG', 1995)", noon, false],
    ["dateRange(1, 'JUN', 1995, 15, 'AUG', 2027)", noon, true],
    ["dateRange('OCT', 1995, 'MAR', 1996)", noon, false],
    ["dateRange('OCT', 2026, 'MAR', 2027)", noon, true],
    ["dateRange('DEC', 2026, 'NOV', 2026)", noon, false],
    ["dateRange(1995)", noon, false],
    ["dateRange(2026)", noon, true],
    ["dateRange(1995, 1997)", noon, false],
    ["dateRange(2020, 2030, 'GMT')", noon, true],
    ["dateRange()", noon, false],
    ["dateRange('NOVEMBER')", noon, false],
    ["dateRange(0)", noon, false],
  ]);
});

describe("timeRange", () => {
  moments([
    ["timeRange(12)", "2026-11-28T11:30:00Z", true],
    ["timeRange(12)", "2026-11-28T12:30:00Z", false],
    ["timeRange(12, 'GMT')", "2026-11-28T12:30:00Z", true],
    ["timeRange(12, 13)", "2026-11-28T11:59:59Z", true],
    ["timeRange(12, 13)", "2026-11-28T12:00:00Z", false],
    ["timeRange(12, 12)", "2026-11-28T11:30:00Z", true],
    ["timeRange(12, 12)", "2026-11-28T10:30:00Z", false],
    ["timeRange(9, 17)", "2026-11-28T08:00:00Z", true],
    ["timeRange(9, 17)", "2026-11-28T16:00:00Z", false],
    ["timeRange(22, 6)", "2026-11-28T22:00:00Z", true],
    ["timeRange(22, 6)", "2026-11-28T12:00:00Z", false],
    ["timeRange(0, 24, 'GMT')", "2026-11-28T23:59:59Z", true],
    ["timeRange(8, 30, 17, 0)", "2026-11-28T07:29:59Z", false],
    ["timeRange(8, 30, 17, 0)", "2026-11-28T07:30:00Z", true],
    ["timeRange(8, 30, 17, 0)", "2026-11-28T16:00:30Z", true],
    ["timeRange(8, 30, 17, 0)", "2026-11-28T16:01:00Z", false],
    ["timeRange(0, 0, 0, 0, 0, 30, 'GMT')", "2026-11-28T00:00:30Z", true],
    ["timeRange(0, 0, 0, 0, 0, 30, 'GMT')", "2026-11-28T00:00:31Z", false],
    ["timeRange('12')", "2026-11-28T11:30:00Z", true],
    ["timeRange('noon')", "2026-11-28T11:30:00Z", false],
    ["timeRange()", "2026-11-28T11:30:00Z", false],
    ["timeRange(1, 2, 3)", "2026-11-28T11:30:00Z", false],
  ]);
});
