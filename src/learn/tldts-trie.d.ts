// The data of the public suffix list in tldts, which does not export it by name.
declare module "tldts/dist/es6/src/data/trie.js" {
  /** By node: where its edges begin; those of the next one begin where they end. */
  export const edgeStart: Uint16Array;
  /** By edge: characters of its label in `labelText`, in the order of the edges. */
  export const edgeLength: Uint8Array;
  export const edgeChild: Uint16Array;
  export const labelText: string;
  export const rulesRoot: number;
}
