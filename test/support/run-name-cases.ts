import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createSystemResolver } from "../../src/net/dns/system-resolver.ts";
import { gather } from "../../src/proxy/resolve/resolve-host.ts";
import { parseHost } from "../../src/address/host.ts";
import type { Resolver } from "../../src/net/dns/resolver.ts";
import type { NameCase } from "./name-case.ts";
import { nameCases } from "./name-cases.ts";
import { nameChanges } from "./name-changes.ts";
import { NameServer } from "./name-server.ts";
import { python } from "./needs.ts";
import { makeFolder } from "./temporary-folder.ts";

/** Where this file is, to be run within namespaces of its own. */
export const runner = import.meta.path;

/** What came of one case. */
export interface NameResult {
  readonly title: string;
  /** Sorted; empty when the name does not resolve. */
  readonly ours: readonly string[];
  readonly theirs: readonly string[];
  readonly found: string | undefined;
  readonly asked: readonly string[];
}

const ADDRESSES = `
import json, socket, sys
try: found = {a[4][0] for a in socket.getaddrinfo(sys.argv[1], 80, socket.AF_UNSPEC, socket.SOCK_STREAM)}
except socket.gaierror: found = []
print(json.dumps(sorted(found)))
`;
import { TimeLimit } from "../../src/net/conn/time-limit.ts";

/** Milliseconds for a name to resolve, and for a change to be noticed. */
const PATIENCE_MS = 6000;

class Stand {
  readonly #folder: string;
  readonly #first: NameServer;
  readonly #second: NameServer;

  constructor(folder: string, first: NameServer, second: NameServer) {
    this.#folder = folder;
    this.#first = first;
    this.#second = second;
  }

  set({ hosts = "", resolv, zone = {}, second = zone }: Omit<NameCase, "title" | "name">): void {
    // The files are mounted: they are written in place.
    writeFileSync(join(this.#folder, "hosts"), hosts);
    writeFileSync(join(this.#folder, "resolv.conf"), resolv ?? "nameserver 127.0.0.53\n");
    this.#first.zone = zone;
    this.#second.zone = second;
    this.#first.asked = [];
    this.#second.asked = [];
  }

  async ask(title: string, name: string, resolver: Resolver): Promise<NameResult> {
    const { ours, found } = await resolve(name, resolver);
    const asked = [...this.#first.asked, ...this.#second.asked];
    const child = Bun.spawn([python, "-c", ADDRESSES, name], { stdout: "pipe", stderr: "inherit" });
    const theirs = JSON.parse(await new Response(child.stdout).text()) as string[];
    return { title, ours, theirs, found, asked };
  }
}

async function resolve(name: string, resolver: Resolver): Promise<{ ours: string[]; found: string | undefined }> {
  const parsed = parseHost(name);
  if (!parsed.ok || parsed.host.kind !== "name") throw new Error(`${name} is not a name`);
  const limit = new TimeLimit(PATIENCE_MS);
  const lookups = resolver.find(parsed.host);
  const { answers } = await gather(lookups, limit);
  lookups.release();
  limit.release();
  const ours = answers.flatMap((answer) => (answer.ok ? answer.addresses.map(({ text }) => text) : []));
  const [found] = answers.flatMap((answer) => (answer.ok ? [answer.name] : []));
  return { ours: ours.sort(), found };
}

/** Tries every `step`th case from number `first` on. */
async function run(first: number, step: number): Promise<void> {
  await using folder = await makeFolder({ hosts: "", "resolv.conf": "" });
  const steps = [["ip", "link", "set", "lo", "up"]];
  for (const name of ["hosts", "resolv.conf"]) steps.push(["mount", "--bind", join(folder.path, name), `/etc/${name}`]);
  for (const command of steps) {
    if (Bun.spawnSync(command, { stderr: "inherit" }).exitCode !== 0) throw new Error(`${command.join(" ")} failed`);
  }
  using near = await NameServer.start("127.0.0.53", 53);
  using far = await NameServer.start("127.0.0.54", 53);
  const stand = new Stand(folder.path, near, far);
  const results: NameResult[] = [];
  const isMine = (_: unknown, at: number): boolean => at % step === first;
  const cases = Object.entries(nameCases).flatMap(([part, list]) => list.map((one) => ({ part, one })));
  for (const { part, one } of cases.filter(isMine)) {
    stand.set(one);
    results.push(await stand.ask(`${part}: ${one.title}`, one.name, createSystemResolver()));
  }
  for (const { title, before, after } of nameChanges.filter(isMine)) {
    const resolver = createSystemResolver();
    stand.set(before);
    results.push(await stand.ask(`before a change of ${title}`, before.name, resolver));
    stand.set(after);
    const known = JSON.stringify(results.at(-1)?.ours);
    const deadline = performance.now() + PATIENCE_MS;
    while (JSON.stringify((await resolve(before.name, resolver)).ours) === known && performance.now() < deadline)
      await Bun.sleep(20);
    results.push(await stand.ask(`after a change of ${title}`, before.name, resolver));
  }
  process.stdout.write(JSON.stringify(results));
}

if (import.meta.main) await run(Number(process.argv[2] ?? 0), Number(process.argv[3] ?? 1));
