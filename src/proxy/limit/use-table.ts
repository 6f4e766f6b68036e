import { Use } from "./use.ts";

/** Entries that are looked at for one that is idle. Most were not used since the last look, so it is one or two. */
const LOOKS = 1024;
/** Uses with series of their own in metrics. */
const NAMED = 100;

/**
 * Uses by key, at most `size` of them. A new key pushes out the one that was idle
 * for longest, roughly: what was used since the last look stays. What `holds`
 * says must not be forgotten stays in any case, beyond `size` if need be.
 */
export class UseTable implements Iterable<Use> {
  readonly size: number;
  readonly #holds: (use: Use) => boolean;
  readonly #uses = new Map<string, Use>();
  /** Those that came first, at most 100. */
  readonly named = new Set<Use>();
  /** What was used by those that were forgotten. */
  readonly gone = new Use("");
  /** Uses that were forgotten: who keeps one has to look it up again when this has changed. */
  forgotten = 0;

  constructor(size: number, holds: (use: Use) => boolean = () => false) {
    this.size = size;
    this.#holds = holds;
  }

  get count(): number {
    return this.#uses.size;
  }

  /** The use of a key, if it is known. */
  find(key: string): Use | undefined {
    return this.#uses.get(key);
  }

  /** The use of a key. */
  open(key: string): Use {
    const known = this.#uses.get(key);
    if (known !== undefined) return known;
    if (this.#uses.size >= this.size) this.#makeRoom();
    const use = new Use(key);
    this.#uses.set(key, use);
    if (this.named.size < NAMED) this.named.add(use);
    return use;
  }

  [Symbol.iterator](): Iterator<Use> {
    return this.#uses.values();
  }

  #makeRoom(): void {
    let [looks, found] = [0, undefined as Use | undefined];
    for (const use of this.#uses.values()) {
      if (!this.#holds(use)) {
        found ??= use;
        if (!use.touched) {
          found = use;
          break;
        }
      }
      // Its turn comes again after all others.
      use.touched = false;
      this.#uses.delete(use.key);
      this.#uses.set(use.key, use);
      looks += 1;
      if (looks === LOOKS) break;
    }
    if (found === undefined) return;
    this.#uses.delete(found.key);
    this.named.delete(found);
    this.gone.include(found);
    this.forgotten += 1;
  }
}
