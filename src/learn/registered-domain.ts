import { parse } from "tldts";
import { edgeChild, edgeLength, edgeStart, labelText, rulesRoot } from "tldts/dist/es6/src/data/trie.js";

/**
 * The domain under which somebody registered a name: `example.co.uk` of `a.b.example.co.uk`. Undefined for
 * a public suffix itself, also a private one such as `github.io`, and below what is in no list (`corp.internal`).
 */
export function findRegisteredDomain(name: string): string | undefined {
  const { domain, isIcann, isPrivate } = parse(name, { allowPrivateDomains: true, validateHostname: false });
  return domain === null || (isIcann !== true && isPrivate !== true) ? undefined : domain;
}

/** Whether names below a domain belong to others: there are public suffixes there, as `s3.amazonaws.com` below `amazonaws.com`. */
export function hasSuffixesBelow(domain: string): boolean {
  let node = rulesRoot;
  for (const label of domain.split(".").toReversed()) {
    const child = findChild(node, label);
    if (child === undefined) return false;
    node = child;
  }
  return edgeAt(edgeStart, node) < edgeAt(edgeStart, node + 1);
}

function findChild(node: number, label: string): number | undefined {
  const end = edgeAt(edgeStart, node + 1);
  let from = 0;
  for (let edge = 0; edge < end; edge++) {
    const length = edgeAt(edgeLength, edge);
    if (edge >= edgeAt(edgeStart, node) && labelText.slice(from, from + length) === label)
      return edgeAt(edgeChild, edge);
    from += length;
  }
  return undefined;
}

function edgeAt(numbers: Uint16Array | Uint8Array, index: number): number {
  return numbers[index] ?? 0;
}
