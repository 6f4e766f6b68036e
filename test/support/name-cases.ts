import { CORP, four, HASTY, many, manySix, ONE, six, TWO, www, type NameCase } from "./name-case.ts";
import { searchCases } from "./name-search-cases.ts";

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

export const nameCases: Readonly<Record<string, readonly NameCase[]>> = {
  "the hosts file": hosts,
  "the search list": searchCases,
  answers,
  "silence of": silence,
  truncation,
};
