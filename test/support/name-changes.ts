import { CORP, ONE, www, type NameCase } from "./name-case.ts";

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
