import { readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";
import type { LocalNames } from "./caching-resolver.ts";
import { type Hosts, type HostsEntry, parseHosts } from "./hosts-file.ts";
import { parseResolvConf, type ResolvConf } from "./resolv-conf.ts";
import { knowLookups, type Lookup, type Lookups, type NamedHost, NOT_FOUND } from "./resolver.ts";

/** Milliseconds between two looks at whether a file has changed. */
const LOOK_AGAIN_MS = 250;

/** A hosts file may block a million names; larger files are ignored. */
const MAX_HOSTS_BYTES = 64 * 1024 * 1024;
const MAX_CONF_BYTES = 1024 * 1024;

/** The files that say how this machine looks names up. */
export interface SystemFiles {
  readonly hosts: string;
  readonly resolvConf: string;
}

export const SYSTEM_FILES: SystemFiles = { hosts: "/etc/hosts", resolvConf: "/etc/resolv.conf" };

/** The hosts file and resolv.conf of this machine, read again when they change. */
export class SystemNames implements LocalNames {
  readonly #hostsFile: FollowedFile;
  readonly #confFile: FollowedFile;
  #hosts: Hosts = new Map();
  #known = new Map<HostsEntry, Lookups>();
  #conf: ResolvConf = parseResolvConf("", "");
  #version = 0;
  #lookAt = -Infinity;

  constructor({ hosts, resolvConf }: SystemFiles) {
    this.#hostsFile = new FollowedFile(hosts, MAX_HOSTS_BYTES);
    this.#confFile = new FollowedFile(resolvConf, MAX_CONF_BYTES);
  }

  get conf(): ResolvConf {
    return this.#conf;
  }

  get completes(): boolean {
    return this.#conf.search.length > 0;
  }

  look(now: number): number {
    if (now < this.#lookAt) return this.#version;
    this.#lookAt = now + LOOK_AGAIN_MS;
    const hosts = this.#hostsFile.readIfChanged();
    if (hosts !== undefined) {
      this.#hosts = parseHosts(hosts);
      this.#known = new Map();
      this.#version += 1;
    }
    const conf = this.#confFile.readIfChanged();
    if (conf !== undefined) {
      this.#conf = parseResolvConf(conf, hostname());
      this.#version += 1;
    }
    return this.#version;
  }

  find({ text }: NamedHost): Lookups | undefined {
    const entry = this.#hosts.get(text);
    if (entry === undefined) return undefined;
    let known = this.#known.get(entry);
    if (known === undefined) {
      known = knowLookups(lookUpEntry(entry, 4), lookUpEntry(entry, 6));
      this.#known.set(entry, known);
    }
    return known;
  }
}

/** An entry answers for both families: DNS is not asked for the family that it lacks. */
function lookUpEntry({ canonical, addresses }: HostsEntry, family: 4 | 6): Lookup {
  const own = addresses.filter((ip) => ip.family === family);
  return own.length > 0
    ? { ok: true, name: canonical, addresses: own }
    : { ok: false, detail: "dns_error", note: NOT_FOUND };
}

/** A file that is read again when it was replaced or written to. */
class FollowedFile {
  readonly #path: string;
  readonly #maxBytes: number;
  #seen = "";

  constructor(path: string, maxBytes: number) {
    this.#path = path;
    this.#maxBytes = maxBytes;
  }

  /** The text, empty without a file; undefined when nothing changed or the file cannot be read at the moment. */
  readIfChanged(): string | undefined {
    try {
      const stat = statSync(this.#path, { bigint: true, throwIfNoEntry: false });
      const seen = stat === undefined ? "none" : `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
      if (seen === this.#seen) return undefined;
      const usable = stat?.isFile() === true && stat.size <= BigInt(this.#maxBytes);
      const text = usable ? readFileSync(this.#path, "utf8") : "";
      this.#seen = seen;
      return text;
    } catch {
      // Gone or unreadable between the two calls: the text before is the best guess.
      return undefined;
    }
  }
}
