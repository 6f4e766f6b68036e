import type { Problem } from "./problem.ts";

/**
 * Settings whose places in a file are wanted, as a tree by path. A locator walks
 * the text once and notes where each of them begins.
 */
export interface Wanted {
  /** Offset of the setting in the text; undefined when it was not found. */
  at: number | undefined;
  /** The text, when it is another one than that of the file: of a module that the file imports. */
  source?: Source | undefined;
  readonly members: Map<string, Wanted>;
}

/** What a text holds, or the first thing that is wrong with it. Lines and columns count from 1. */
export type ParsedText =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly message: string; readonly line?: number; readonly column?: number };

/** Notes in `wanted` where the settings of a text begin. What cannot be found stays undefined. */
export type Locate = (text: string, wanted: Wanted, open?: OpenModule) => void;

/** Reads a file that a script imports; undefined for what is no such file. */
export type OpenModule = (specifier: string) => Source | undefined;

/** A text and how to find settings in it. `path` is the file that it is from. */
export interface Source {
  readonly path: string;
  readonly text: string;
  readonly locate: Locate;
  readonly open?: OpenModule;
}

/**
 * Adds to each problem of the file the place of its setting, of the nearest setting
 * around it that can be found, or of the whole. Other problems stay unchanged.
 */
export function attachPlaces(problems: readonly Problem[], source: Source | undefined): Problem[] {
  if (source === undefined) return [...problems];
  const root: Wanted = { at: 0, members: new Map() };
  const ours = problems.filter(isOfFile);
  if (ours.length === 0) return [...problems];
  for (const { path } of ours) want(root, path);
  source.locate(source.text, root, source.open);
  const indexes = new Map<Source, LineIndex>();
  return problems.map((problem) => {
    const { at, source: other } = (isOfFile(problem) ? findNearest(root, problem.path) : undefined) ?? {};
    if (at === undefined) return problem;
    const { path, text } = other ?? source;
    const lines = indexes.get(other ?? source) ?? new LineIndex(text);
    indexes.set(other ?? source, lines);
    return { ...problem, place: formatPlace(path, ...lines.find(at)) };
  });
}

/** The parts of a place. */
export interface PlaceParts {
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
}

/** The parts of a place as `formatPlace` writes it. */
export function readPlace(place: string): PlaceParts {
  const [, file = place, line, column] = /^(.*?)(?::(\d+)(?::(\d+))?)?$/s.exec(place) ?? [];
  return {
    file,
    ...(line !== undefined && { line: Number(line) }),
    ...(column !== undefined && { column: Number(column) }),
  };
}

/** `proxy.config.json:3:5`, as compilers write it. */
export function formatPlace(path: string, line?: number, column?: number): string {
  return [path, line, column].filter((part) => part !== undefined).join(":");
}

function isOfFile({ origin, place }: Problem): boolean {
  return origin === undefined && place === undefined;
}

function want(root: Wanted, path: readonly PropertyKey[]): void {
  let node = root;
  for (const key of path) {
    let member = node.members.get(String(key));
    if (member === undefined) {
      member = { at: undefined, members: new Map() };
      node.members.set(String(key), member);
    }
    node = member;
  }
}

/** The innermost setting on the way to a path that was found; the whole without one. */
function findNearest(root: Wanted, path: readonly PropertyKey[]): Wanted {
  let node: Wanted | undefined = root;
  let nearest = root;
  for (const key of path) {
    node = node.members.get(String(key));
    if (node === undefined) break;
    nearest = node.at === undefined ? nearest : node;
  }
  return nearest;
}

/** The line and the column of an offset; both count from 1. */
export function findPosition(text: string, offset: number): [line: number, column: number] {
  return new LineIndex(text).find(offset);
}

/** Turns offsets into lines and columns. */
class LineIndex {
  /** Where each line begins. */
  readonly #starts: number[];

  constructor(text: string) {
    // No editor counts a byte order mark.
    this.#starts = [text.startsWith("\ufeff") ? 1 : 0];
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) this.#starts.push(at + 1);
  }

  find(offset: number): [line: number, column: number] {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return [low + 1, Math.max(0, offset - (this.#starts[low] ?? 0)) + 1];
  }
}
