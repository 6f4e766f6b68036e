import type { PacQuestion } from "../../protocol/pac/pac-url.ts";

/** What names resolve to: addresses as text, none when a name has none. The key is a canonical name. */
export type KnownNames = Readonly<Record<string, readonly string[]>>;

/** What a file says about a question. */
export type PacStep =
  /** Undefined for `null` and `undefined`. At most `MAX_RESULT` characters. */
  | { readonly kind: "answer"; readonly text: string | undefined }
  /** It asked for the addresses of a name: ask again when they are known. */
  | { readonly kind: "needs"; readonly name: string }
  /** `why` continues a sentence that begins with the file: `threw TypeError: …`. */
  | { readonly kind: "failed"; readonly why: string };

/** A PAC file that is in use. It can change at any time. */
export interface PacFile {
  /** Counts the files that were in use: what an earlier one said is void. 0 as long as there is none. */
  readonly version: number;
  /** Why there is none, as the rest of a sentence; undefined when there is one. */
  readonly missing: string | undefined;
  /** Asks the file. Never rejects. */
  find(question: PacQuestion, names: KnownNames): Promise<PacStep>;
}
