import type { Host } from "../address/host.ts";
import type { Ip } from "../address/ip.ts";
import type { Policy } from "../proxy/policy/policy.ts";
import type { Steps } from "../steps.ts";

/** A list that rules use, and where it is. */
export interface ListSource {
  /** Equal keys: the same list. The same in every process. */
  readonly key: string;
  /** For messages: `"allow.txt"`, or a URL without what may be a secret in it. */
  readonly name: string;
  /** For metrics and events: `@dev` where a rule names it so, the path as written, or the same of a URL. */
  readonly label: string;
  readonly at:
    /** `path` is absolute. */
    | { readonly kind: "file"; readonly path: string }
    /** `sha256`: the only content that may be used, in hexadecimal. */
    | { readonly kind: "url"; readonly url: string; readonly everyMs: number; readonly sha256?: string };
}

/** What was found in the text of a list. */
export interface ListCheck {
  /** Why it cannot be the list, one sentence for each line. */
  readonly faults: readonly string[];
  readonly entries: number;
}

/** The lists of a configuration, to be replaced without reading the rest of it again. */
export interface ListsPlan {
  readonly sources: readonly ListSource[];
  /** The texts in use, by key. A list without one has had no content yet. */
  readonly texts: ReadonlyMap<string, string>;
  /** The number of entries of each of them. */
  readonly entries: ReadonlyMap<string, number>;
  /** Those whose texts are kept ones: what was read now cannot be used, or is still to be fetched. */
  readonly kept: ReadonlySet<string>;
  /** Counts the entries of a text, and says why it cannot be the list. */
  check(key: string, text: string): Steps<ListCheck>;
  /** The rules with other texts. */
  compile(texts: ReadonlyMap<string, string>): Steps<Policy>;
  /** Says by which lines of which lists the rule of that name matches, with these texts or those of this plan. Takes time in proportion to them. */
  locate(rule: string, question: ListQuestion, texts?: ListsPlan["texts"]): readonly string[];
}

/** Who asks for what. */
export interface ListQuestion {
  readonly client: Ip;
  readonly user: string | undefined;
  /** The target, its full name where a search list completed it, and its addresses where they were looked at. */
  readonly hosts: readonly Host[];
  readonly port: number;
}
