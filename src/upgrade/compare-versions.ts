/**
 * Orders two versions by Semantic Versioning 2.0.0 §11: negative when `one` comes
 * before `other`. What follows a plus says nothing.
 */
export function compareVersions(one: string, other: string): number {
  const [a, b] = [parse(one), parse(other)];
  for (const at of [0, 1, 2]) {
    const difference = (a.numbers[at] ?? 0) - (b.numbers[at] ?? 0);
    if (difference !== 0) return difference;
  }
  // A version without a pre-release comes after all of its pre-releases.
  if (a.marks.length === 0 || b.marks.length === 0) return b.marks.length - a.marks.length;
  for (let at = 0; at < Math.max(a.marks.length, b.marks.length); at += 1) {
    const [mine, theirs] = [a.marks[at], b.marks[at]];
    if (mine === undefined) return -1;
    if (theirs === undefined) return 1;
    if (mine !== theirs) return compareMarks(mine, theirs);
  }
  return 0;
}

function parse(version: string): { readonly numbers: readonly number[]; readonly marks: readonly string[] } {
  const [plain = ""] = version.split("+");
  const cut = plain.indexOf("-");
  const core = cut < 0 ? plain : plain.slice(0, cut);
  return { numbers: core.split(".").map(Number), marks: cut < 0 ? [] : plain.slice(cut + 1).split(".") };
}

/** Numbers by value and before words. */
function compareMarks(mine: string, theirs: string): number {
  const [isNumber, isOtherNumber] = [/^\d+$/.test(mine), /^\d+$/.test(theirs)];
  if (isNumber && isOtherNumber) return Number(mine) - Number(theirs);
  if (isNumber !== isOtherNumber) return isNumber ? -1 : 1;
  return mine < theirs ? -1 : 1;
}
