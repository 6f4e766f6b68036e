import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";

/** A fenced block of code in a page for users. */
export interface CodeBlock {
  /** The page, relative to the top of the project, and the line of the fence, from 1. */
  readonly place: string;
  /** What follows the fence, such as `ts`; empty when nothing does. */
  readonly language: string;
  /** The lines between the fences. */
  readonly text: string;
  /** Whether nothing but blank lines is between the block before and this one. */
  readonly follows: boolean;
}

const root = join(import.meta.dir, "../..");

/** The pages that users read. */
export function listPages(): string[] {
  return ["README.md", "SECURITY.md", ...new Glob("docs/*.md").scanSync(root)].sort();
}

/** The fenced blocks of a page, in order. */
export function readBlocks(page: string): CodeBlock[] {
  const blocks: CodeBlock[] = [];
  let open: (Omit<CodeBlock, "place" | "text"> & { readonly at: number; readonly lines: string[] }) | undefined;
  let follows = false;
  const lines = readFileSync(join(root, page), "utf8").split("\n");
  for (const [at, line] of lines.entries()) {
    const fence = /^ *```(\w*)/.exec(line);
    if (fence === null) {
      open?.lines.push(line);
      if (open === undefined && line.trim() !== "") follows = false;
    } else if (open === undefined) {
      open = { at: at + 1, language: fence[1] ?? "", lines: [], follows };
    } else {
      const { language, lines: text } = open;
      blocks.push({ place: `${page}:${open.at}`, language, text: text.join("\n"), follows: open.follows });
      open = undefined;
      follows = true;
    }
  }
  if (open !== undefined) throw new Error(`${page}:${open.at}: the block has no end`);
  return blocks;
}
