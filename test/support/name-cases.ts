import type { Zone } from "./name-server.ts";

/** One question about a name, with everything that the answer follows from. */
export interface NameCase {
  readonly title: string;
  readonly name: string;
  readonly hosts?: string;
  readonly resolv?: string;
  /** Of the first name server, and of the second where it is another one. */
  readonly zone?: Zone;
  readonly second?: Zone;
  /** The addresses, when `getaddrinfo` gives others or none, and why. */
  readonly instead?: { readonly addresses: readonly string[]; readonly why: string };
  /** The name that was found; the one that was asked for when absent. */
  readonly found?: string;
}

const ONE = "nameserver 127.0.0.53\n";
const TWO = "nameserver 127.0.0.53\nnameserver 127.0.0.54\n";
const HASTY = "options timeout:1 attempts:1\n";
const CORP = `${ONE}search corp.test\n`;

const www: Zone = { "www.example.test": { a: ["192.0.2.1"], aaaa: ["2001:db8::1"] } };
const four: Zone = { "www.example.test": { a: ["192.0.2.1"] } };
const six: Zone = { "www.example.test": { aaaa: ["2001:db8::1"] } };
const many = Array.from({ length: 31 }, (_, at) => `192.0.2.${at + 1}`);
const manySix = Array.from({ length: 31 }, (_, at) => `2001:db8::${(at + 1).toString(16)}`);

const hosts: NameCase[] = [
  { title: "one address", name: "a.test", hosts: "192.0.2.7 a.test\n" },
  { title: "an IPv6 address", name: "a.test", hosts: "2001:db8::7 a.test\n" },
  { title: "several lines for a name", name: "a.test", hosts: "192.0.2.7 a.test\n192.0.2.8 a.test\n" },
  { title: "both families on two lines", name: "a.test", hosts: "192.0.2.7 a.test\n2001:db8::7 a.test\n" },
  {
    title: "an alias",
    name: "b",
    hosts: "192.0.2.7 a.test b c\n",
    found: "a.test",
  },
  {
    title: "lines that share an address",
    name: "app.test",
    hosts: "192.0.2.1 app.test\n192.0.2.1 other.test\n192.0.2.2 other.test\n",
  },
  {
    title: "lines that share an address, the other name",
    name: "other.test",
    hosts: "192.0.2.1 app.test\n192.0.2.1 other.test\n192.0.2.2 other.test\n",
  },
  {
    title: "a name that is an alias on the second line",
    name: "app.test",
    hosts: "192.0.2.1 app.test\n192.0.2.2 first.test app.test\n",
  },
  { title: "comments", name: "a.test", hosts: "# 192.0.2.9 a.test\n192.0.2.7 a.test # 192.0.2.8\n" },
  { title: "a name behind a comment", name: "b.test", hosts: "192.0.2.7 a.test # b.test\n" },
  { title: "tabs and spaces", name: "a.test", hosts: "  192.0.2.7\t \ta.test\t\n" },
  { title: "capital letters in the file", name: "a.test", hosts: "192.0.2.7 A.Test\n" },
  { title: "underscores", name: "a_b.test", hosts: "192.0.2.7 a_b.test\n" },
  { title: "no line break at the end", name: "a.test", hosts: "192.0.2.7 a.test" },
  { title: "line breaks of Windows", name: "a.test", hosts: "192.0.2.7 a.test\r\n", found: "a.test" },
  { title: "a line that has no address", name: "a.test", hosts: "not-an-address a.test\n192.0.2.7 a.test\n" },
  { title: "a line that has no name", name: "a.test", hosts: "192.0.2.8\n192.0.2.7 a.test\n" },
  { title: "the same line twice", name: "a.test", hosts: "192.0.2.7 a.test\n192.0.2.7 a.test\n" },
  { title: "a name that is not there", name: "b.test", hosts: "192.0.2.7 a.test\n" },
  { title: "the hosts file before DNS", name: "www.example.test", hosts: "192.0.2.7 www.example.test\n", zone: www },
  {
    title: "an IPv4 entry and AAAA in DNS",
    name: "www.example.test",
    hosts: "192.0.2.7 www.example.test\n",
    zone: six,
  },
  {
    title: "an IPv6 entry and A in DNS",
    name: "www.example.test",
    hosts: "2001:db8::7 www.example.test\n",
    zone: four,
  },
  { title: "a blocked name", name: "www.example.test", hosts: "0.0.0.0 www.example.test\n", zone: www },
  {
    title: "a short name is not completed within the hosts file",
    name: "intra",
    hosts: "192.0.2.7 intra.corp.test\n",
    resolv: CORP,
  },
  {
    title: "a short name of the hosts file before the search list",
    name: "intra",
    hosts: "192.0.2.7 intra\n",
    resolv: CORP,
    zone: { "intra.corp.test": { a: ["192.0.2.8"] } },
  },
  {
    title: "an entry with a dot at its end",
    name: "a.test.",
    hosts: "192.0.2.7 a.test.\n",
  },
  {
    title: "a dot at the end of the name only",
    name: "a.test.",
    hosts: "192.0.2.7 a.test\n",
    instead: {
      addresses: ["192.0.2.7"],
      why: "names of the hosts file are absolute, and a dot must not get round one",
    },
  },
];

const search: NameCase[] = [
  {
    title: "a short name",
    name: "intra",
    resolv: CORP,
    zone: { "intra.corp.test": { a: ["192.0.2.1"] } },
    found: "intra.corp.test",
  },
  {
    title: "a short name of IPv6 only",
    name: "intra",
    resolv: CORP,
    zone: { "intra.corp.test": { aaaa: ["2001:db8::1"] } },
    found: "intra.corp.test",
  },
  {
    title: "a short name with a dot at its end",
    name: "intra.",
    resolv: CORP,
    zone: { "intra.corp.test": { a: ["192.0.2.1"] } },
  },
  {
    title: "a top-level name with a dot at its end",
    name: "intra.",
    resolv: CORP,
    zone: { intra: { a: ["192.0.2.3"] }, "intra.corp.test": { a: ["192.0.2.1"] } },
  },
  {
    title: "a whole name",
    name: "www.example.test",
    resolv: CORP,
    zone: { ...www, "*.corp.test": { a: ["192.0.2.9"] } },
  },
  {
    title: "an IPv4 name and an IPv6 wildcard in the search domain",
    name: "www.example.test",
    resolv: CORP,
    zone: { ...four, "*.corp.test": { aaaa: ["2001:db8::9"] } },
  },
  {
    title: "an IPv6 name and an IPv4 wildcard in the search domain",
    name: "www.example.test",
    resolv: CORP,
    zone: { ...six, "*.corp.test": { a: ["192.0.2.9"] } },
  },
  {
    title: "a name with a dot that exists below the search domain only",
    name: "www.lab",
    resolv: CORP,
    zone: { "www.lab.corp.test": { a: ["192.0.2.1"] } },
    found: "www.lab.corp.test",
  },
  {
    title: "two domains, the first one has it",
    name: "intra",
    resolv: `${ONE}search one.test two.test\n`,
    zone: { "intra.one.test": { a: ["192.0.2.1"] }, "intra.two.test": { a: ["192.0.2.2"] } },
    found: "intra.one.test",
  },
  {
    title: "two domains, the second one has it",
    name: "intra",
    resolv: `${ONE}search one.test two.test\n`,
    zone: { "intra.two.test": { a: ["192.0.2.2"] } },
    found: "intra.two.test",
  },
  {
    title: "two domains, a family each: the first one is the one",
    name: "intra",
    resolv: `${ONE}search one.test two.test\n`,
    zone: { "intra.one.test": { aaaa: ["2001:db8::1"] }, "intra.two.test": { a: ["192.0.2.2"] } },
    found: "intra.one.test",
  },
  {
    title: "a name without addresses in the first domain",
    name: "intra",
    resolv: `${ONE}search one.test two.test\n`,
    zone: { "intra.one.test": {}, "intra.two.test": { a: ["192.0.2.2"] } },
    found: "intra.two.test",
  },
  {
    title: "a whole name without addresses",
    name: "www.example.test",
    resolv: CORP,
    zone: { "www.example.test": {}, "*.corp.test": { a: ["192.0.2.9"] } },
    found: "www.example.test.corp.test",
  },
  {
    title: "ndots:5 tries the search list first",
    name: "www.example.test",
    resolv: `${CORP}options ndots:5\n`,
    zone: { ...www, "www.example.test.corp.test": { a: ["192.0.2.9"] } },
    found: "www.example.test.corp.test",
  },
  {
    title: "ndots:5 and the name itself last",
    name: "www.example.test",
    resolv: `${CORP}options ndots:5\n`,
    zone: www,
  },
  {
    title: "ndots:5 and a dot at the end",
    name: "www.example.test.",
    resolv: `${CORP}options ndots:5\n`,
    zone: { ...www, "*.corp.test": { a: ["192.0.2.9"] } },
  },
  {
    title: "ndots:0",
    name: "intra",
    resolv: `${CORP}options ndots:0\n`,
    zone: { intra: { a: ["192.0.2.3"] }, "intra.corp.test": { a: ["192.0.2.1"] } },
  },
  {
    title: "a name with as many dots as ndots",
    name: "a.b",
    resolv: `${CORP}options ndots:2\n`,
    zone: { "a.b": { a: ["192.0.2.3"] }, "a.b.corp.test": { a: ["192.0.2.1"] } },
    found: "a.b.corp.test",
  },
  {
    title: "a domain line",
    name: "intra",
    resolv: `${ONE}domain corp.test\n`,
    zone: { "intra.corp.test": { a: ["192.0.2.1"] } },
    found: "intra.corp.test",
  },
  {
    title: "the last of search and domain",
    name: "intra",
    resolv: `${ONE}search one.test\ndomain two.test\n`,
    zone: { "intra.one.test": { a: ["192.0.2.1"] }, "intra.two.test": { a: ["192.0.2.2"] } },
    found: "intra.two.test",
  },
  {
    title: "the last of two search lines",
    name: "intra",
    resolv: `${ONE}search one.test\nsearch two.test\n`,
    zone: { "intra.one.test": { a: ["192.0.2.1"] }, "intra.two.test": { a: ["192.0.2.2"] } },
    found: "intra.two.test",
  },
  {
    title: "comments in resolv.conf",
    name: "intra",
    resolv: `; nameserver 127.0.0.1\n# search two.test\n${ONE}search one.test\n`,
    zone: { "intra.one.test": { a: ["192.0.2.1"] }, "intra.two.test": { a: ["192.0.2.2"] } },
    found: "intra.one.test",
  },
  {
    title: "a search list that is the root",
    name: "intra",
    resolv: `${ONE}search .\n`,
    zone: { intra: { a: ["192.0.2.3"] } },
  },
  {
    title: "a server failure in the first domain",
    name: "intra",
    resolv: `${ONE}search one.test two.test\n${HASTY}`,
    zone: { "intra.one.test": { a: "server_failure", aaaa: "server_failure" }, "intra.two.test": { a: ["192.0.2.2"] } },
    found: "intra.two.test",
  },
  {
    title: "a server failure for the whole name and a wildcard in the search domain",
    name: "www.example.test",
    resolv: `${CORP}${HASTY}`,
    zone: {
      "www.example.test": { a: "server_failure", aaaa: "server_failure" },
      "*.corp.test": { a: ["192.0.2.9"] },
    },
    instead: { addresses: [], why: "a name that may exist is not replaced by another one" },
  },
  { title: "a name that exists nowhere", name: "nowhere", resolv: CORP },
  {
    title: "a search list that makes the name too long",
    name: `${"a".repeat(60)}.${"b".repeat(60)}.${"c".repeat(60)}.test`,
    resolv: `${ONE}search ${"d".repeat(60)}.${"e".repeat(60)}.test\noptions ndots:5\n`,
    zone: { "*": { a: ["192.0.2.1"] } },
  },
];

const answers: NameCase[] = [
  { title: "both families", name: "www.example.test", zone: www },
  { title: "IPv4 only", name: "www.example.test", zone: four },
  { title: "IPv6 only", name: "www.example.test", zone: six },
  { title: "no such name", name: "www.example.test" },
  { title: "no addresses", name: "www.example.test", zone: { "www.example.test": {} } },
  {
    title: "an alias",
    name: "www.example.test",
    zone: {
      "www.example.test": {
        a: { alias: "host.example.test", addresses: ["192.0.2.1"] },
        aaaa: { alias: "host.example.test", addresses: ["2001:db8::1"] },
      },
    },
  },
  {
    title: "no such name for AAAA, an address for A",
    name: "www.example.test",
    zone: { "www.example.test": { a: ["192.0.2.1"], aaaa: "no_name" } },
  },
  {
    title: "a server failure for AAAA",
    name: "www.example.test",
    resolv: `${ONE}${HASTY}`,
    zone: { "www.example.test": { a: ["192.0.2.1"], aaaa: "server_failure" } },
  },
  {
    title: "a server failure for A",
    name: "www.example.test",
    resolv: `${ONE}${HASTY}`,
    zone: { "www.example.test": { a: "server_failure", aaaa: ["2001:db8::1"] } },
  },
  {
    title: "a server failure for both",
    name: "www.example.test",
    resolv: `${ONE}${HASTY}`,
    zone: { "www.example.test": { a: "server_failure", aaaa: "server_failure" } },
  },
  { title: "a name in capital letters", name: "WWW.Example.Test", zone: www },
];

const silence: NameCase[] = [
  {
    title: "AAAA",
    name: "www.example.test",
    resolv: `${ONE}${HASTY}`,
    zone: { "www.example.test": { a: ["192.0.2.1"], aaaa: "silent" } },
  },
  {
    title: "A",
    name: "www.example.test",
    resolv: `${ONE}${HASTY}`,
    zone: { "www.example.test": { a: "silent", aaaa: ["2001:db8::1"] } },
    instead: { addresses: ["2001:db8::1"], why: "half an answer is an answer, whichever half it is (RFC 8305 §3)" },
  },
  {
    title: "both",
    name: "www.example.test",
    resolv: `${ONE}${HASTY}`,
    zone: { "www.example.test": { a: "silent", aaaa: "silent" } },
  },
  {
    title: "the first name server",
    name: "www.example.test",
    resolv: `${TWO}${HASTY}`,
    zone: { "*": { a: "silent", aaaa: "silent" } },
    second: www,
  },
  {
    title: "nobody listens at the first name server",
    name: "www.example.test",
    resolv: `nameserver 127.0.0.55\nnameserver 127.0.0.54\n`,
    second: www,
  },
  {
    title: "the first name server refuses",
    name: "www.example.test",
    resolv: TWO,
    zone: { "*": { a: "refused", aaaa: "refused" } },
    second: www,
  },
  {
    title: "the first name server fails",
    name: "www.example.test",
    resolv: TWO,
    zone: { "*": { a: "server_failure", aaaa: "server_failure" } },
    second: www,
  },
  {
    title: "the first name server is sure that there is no such name",
    name: "www.example.test",
    resolv: TWO,
    second: www,
  },
  {
    title: "AAAA of names that do not exist, with a search list",
    name: "www.example.test",
    resolv: `${CORP}options ndots:5 timeout:1 attempts:1\n`,
    zone: {
      "*": { a: "no_name", aaaa: "silent" },
      "www.example.test": { a: ["192.0.2.1"], aaaa: "silent" },
    },
  },
];

const truncation: NameCase[] = [
  { title: "of A", name: "www.example.test", zone: { "www.example.test": { a: { tooLong: many } } } },
  { title: "of AAAA", name: "www.example.test", zone: { "www.example.test": { aaaa: { tooLong: manySix } } } },
  {
    title: "of both",
    name: "www.example.test",
    zone: { "www.example.test": { a: { tooLong: many }, aaaa: { tooLong: manySix } } },
  },
  {
    title: "within the search domain",
    name: "intra",
    resolv: CORP,
    zone: { "intra.corp.test": { a: { tooLong: many } } },
    found: "intra.corp.test",
  },
  { title: "avoided by use-vc", name: "www.example.test", resolv: `${ONE}options use-vc\n`, zone: www },
];

/** What changes while the resolver runs: it is asked before and after. */
export interface NameChange {
  readonly title: string;
  readonly before: NameCase;
  readonly after: Omit<NameCase, "title" | "name">;
}

export const nameChanges: readonly NameChange[] = [
  {
    title: "a line in the hosts file",
    before: { title: "", name: "a.test", hosts: "192.0.2.7 a.test\n" },
    after: { hosts: "192.0.2.8 a.test\n" },
  },
  {
    title: "a name that is taken out of the hosts file",
    before: { title: "", name: "www.example.test", hosts: "192.0.2.7 www.example.test\n", zone: www },
    after: { hosts: "", zone: www },
  },
  {
    title: "a name that is put into the hosts file, though DNS knew it",
    before: { title: "", name: "www.example.test", zone: www },
    after: { hosts: "192.0.2.7 www.example.test\n", zone: www },
  },
  {
    title: "the search list",
    before: {
      title: "",
      name: "intra",
      resolv: CORP,
      zone: { "intra.corp.test": { a: ["192.0.2.1"] } },
      found: "intra.corp.test",
    },
    after: {
      resolv: `${ONE}search lab.test\n`,
      zone: { "intra.corp.test": { a: ["192.0.2.1"] }, "intra.lab.test": { a: ["192.0.2.2"] } },
      found: "intra.lab.test",
    },
  },
  {
    title: "a search list that goes",
    before: {
      title: "",
      name: "intra",
      resolv: CORP,
      zone: { "intra.corp.test": { a: ["192.0.2.1"] } },
      found: "intra.corp.test",
    },
    after: { resolv: ONE, zone: { "intra.corp.test": { a: ["192.0.2.1"] } } },
  },
  {
    title: "the name server",
    before: { title: "", name: "www.example.test", resolv: ONE, zone: www },
    after: {
      resolv: "nameserver 127.0.0.54\n",
      zone: www,
      second: { "www.example.test": { a: ["192.0.2.2"] } },
    },
  },
  {
    title: "ndots",
    before: {
      title: "",
      name: "a.b",
      resolv: CORP,
      zone: { "a.b": { a: ["192.0.2.3"] }, "a.b.corp.test": { a: ["192.0.2.1"] } },
    },
    after: {
      resolv: `${CORP}options ndots:2\n`,
      zone: { "a.b": { a: ["192.0.2.3"] }, "a.b.corp.test": { a: ["192.0.2.1"] } },
      found: "a.b.corp.test",
    },
  },
];

export const nameCases: Readonly<Record<string, readonly NameCase[]>> = {
  "the hosts file": hosts,
  "the search list": search,
  answers,
  "silence of": silence,
  truncation,
};
