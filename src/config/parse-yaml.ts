import {
  constructFromEvents,
  CORE_SCHEMA,
  type Event,
  EVENT_ID,
  getScalarValue,
  mergeTag,
  parseEvents,
  SCALAR_STYLE,
  YAMLException,
} from "js-yaml";

import type { ParsedText, Wanted } from "./places.ts";

/** Plain data of YAML 1.2, and the merge key `<<` of YAML 1.1, which is in wide use. */
const schema = CORE_SCHEMA.withTags(mergeTag);

/** Reads one YAML document; an empty one sets nothing. A key that appears twice is an error: one of them would be ignored. */
export function parseYaml(text: string): ParsedText {
  try {
    const documents = constructFromEvents(parseEvents(text, {}), { source: text, schema });
    if (documents.length <= 1) return { ok: true, value: documents[0] ?? {} };
    return { ok: false, message: "Found several documents. Write one.", line: 1, column: 1 };
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const { line = 0, column = 0 } = error.mark ?? {};
    return { ok: false, message: describe(error.reason), line: line + 1, column: column + 1 };
  }
}

/** The library quotes anchors, tags and keys, which may be passwords that YAML read as something else. */
function describe(reason: string): string {
  if (reason.startsWith("duplicated mapping key")) return "Found a name twice. Write each setting once.";
  if (reason.includes("alias"))
    return 'Found "*", which refers to an anchor that is not there. Write the text in quotes.';
  if (/\btag\b/.test(reason)) return 'Found "!", which begins a tag that is not known here. Write the text in quotes.';
  const plain = reason.replace(/ ?["'<].*$/s, "");
  return `The YAML cannot be read: ${plain}.`;
}

/** Notes where the wanted settings of a YAML text begin, also through anchors and merges. */
export function locateInYaml(text: string, wanted: Wanted): void {
  new YamlLocator(text, parseEvents(text, {})).locate(wanted);
}

class YamlLocator {
  readonly #text: string;
  readonly #events: readonly Event[];
  /** Index of the event that has the anchor of a name. */
  readonly #anchors = new Map<string, number>();
  #followed = 0;

  constructor(text: string, events: readonly Event[]) {
    this.#text = text;
    this.#events = events;
  }

  locate(wanted: Wanted): void {
    // The first event opens the document.
    this.#visit(1, wanted);
  }

  /** Visits the node at `index`; gives the index after it. */
  #visit(index: number, wanted: Wanted | undefined): number {
    const event = this.#events[index];
    if (event === undefined || event.type === EVENT_ID.POP || event.type === EVENT_ID.DOCUMENT) return index;
    const name = event.anchorStart < 0 ? undefined : this.#text.slice(event.anchorStart, event.anchorEnd);
    if (event.type === EVENT_ID.ALIAS) {
      this.#follow(name, wanted);
      return index + 1;
    }
    if (name !== undefined) this.#anchors.set(name, index);
    if (event.type === EVENT_ID.SEQUENCE) return this.#visitSequence(index + 1, wanted);
    if (event.type === EVENT_ID.MAPPING) return this.#visitMapping(index + 1, wanted);
    return index + 1;
  }

  #visitSequence(index: number, wanted: Wanted | undefined): number {
    let next = index;
    for (let item = 0; !this.#isEnd(next); item++) {
      const member = wanted?.members.get(String(item));
      if (member) member.at = this.#findStart(next);
      next = this.#visit(next, member);
    }
    return next + 1;
  }

  #visitMapping(index: number, wanted: Wanted | undefined): number {
    let next = index;
    const merged: number[] = [];
    const own = new Set<Wanted>();
    while (!this.#isEnd(next)) {
      const key = this.#events[next];
      const name = key?.type === EVENT_ID.SCALAR ? getScalarValue(this.#text, key) : undefined;
      const member = name === undefined ? undefined : wanted?.members.get(name);
      if (member) {
        member.at = this.#findStart(next);
        own.add(member);
      }
      const value = this.#visit(next, undefined);
      if (name === "<<") merged.push(value);
      next = this.#visit(value, member);
    }
    // Own keys of a map override merged ones.
    const rest = [...(wanted?.members ?? [])].filter(([, member]) => !own.has(member));
    if (rest.length > 0) for (const each of merged) this.#visitMerged(each, { at: undefined, members: new Map(rest) });
    return next + 1;
  }

  /** A map, or a list of maps, whose settings a map takes over. */
  #visitMerged(index: number, wanted: Wanted): void {
    if (this.#events[index]?.type !== EVENT_ID.SEQUENCE) {
      this.#visit(index, wanted);
      return;
    }
    for (let next = index + 1; !this.#isEnd(next);) next = this.#visit(next, wanted);
  }

  #follow(name: string | undefined, wanted: Wanted | undefined): void {
    const index = name === undefined ? undefined : this.#anchors.get(name);
    if (index === undefined || wanted === undefined || wanted.members.size === 0) return;
    // Aliases of aliases multiply: after so many the place of a setting around is used.
    this.#followed++;
    if (this.#followed < 1000) this.#visit(index, wanted);
  }

  #isEnd(index: number): boolean {
    const event = this.#events[index];
    return event === undefined || event.type === EVENT_ID.POP;
  }

  #findStart(index: number): number | undefined {
    const event = this.#events[index];
    switch (event?.type) {
      case EVENT_ID.SCALAR: {
        const quoted = event.style === SCALAR_STYLE.SINGLE_QUOTED || event.style === SCALAR_STYLE.DOUBLE_QUOTED;
        return event.valueStart < 0 ? undefined : event.valueStart - (quoted ? 1 : 0);
      }
      case EVENT_ID.ALIAS:
        return event.anchorStart - 1;
      case EVENT_ID.MAPPING:
      case EVENT_ID.SEQUENCE:
        return event.start;
      default:
        return undefined;
    }
  }
}
