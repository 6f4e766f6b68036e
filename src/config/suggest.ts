/**
 * Words that weaken security. A suggestion never proposes one: its author has to
 * write it out.
 */
const weakening: ReadonlySet<string> = new Set([
  "open",
  "allow",
  "allowprivate",
  "httpsoverplain",
  "direct",
  "optional",
  "off",
  "unknown",
  "basic",
  "insecure",
  "force",
]);

/** A number is another value, and no misspelling. */
function canPropose(word: string): boolean {
  return !weakening.has(word.replace(/^--/, "").toLowerCase()) && !/^[\d.]+$/.test(word);
}

/**
 * The word of `known` that `found` was probably meant to be: it begins with
 * `found`, or at most a third of its letters differ. Undefined when nothing is near.
 */
function findNearest(found: string, known: Iterable<string>): string | undefined {
  const wanted = found.toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(found.length / 3)) + 1;
  const longer: string[] = [];
  for (const word of known) {
    if (!canPropose(word)) continue;
    const distance = measureDistance(wanted, word.toLowerCase());
    if (distance < bestDistance) {
      best = word;
      bestDistance = distance;
    }
    if (wanted.length >= 3 && word.toLowerCase().startsWith(wanted)) longer.push(word);
  }
  return best ?? (longer.length === 1 ? longer[0] : undefined);
}

/** ` Did you mean "x"?`, or nothing; to be appended to a sentence. */
export function suggest(found: string, known: Iterable<string>): string {
  const nearest = findNearest(found, known);
  return nearest === undefined ? "" : ` Did you mean "${nearest}"?`;
}

/** Damerau-Levenshtein distance (adjacent letters swapped count as one change). */
function measureDistance(a: string, b: string): number {
  // A long word is no misspelling of a short one; this also bounds the work.
  if (Math.abs(a.length - b.length) > 8 || a.length > 64) return Infinity;
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min((above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (above[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      row.push(cost);
    }
    before = above;
    above = row;
  }
  return above[b.length] ?? Infinity;
}

/** Whether two texts differ in at most `max` letters. */
export function isNear(a: string, b: string, max: number): boolean {
  return measureDistance(a.toLowerCase(), b.toLowerCase()) <= max;
}
