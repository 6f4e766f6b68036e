/** A text as a person would type it into a shell: in quotes where it needs them. */
export function quoteWord(word: string): string {
  return /^[\w./:,=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
