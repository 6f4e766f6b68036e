import { functionDocs, functionTerms, typeDocs, writeSignature } from "./functions.ts";

/** The chapter of the reference about functions: their arguments and results. */
export function writeFunctionReference(): string {
  const functions = Object.entries(functionDocs).flatMap(([name, doc]) => [
    `### ${doc.settings.map((setting) => `\`${setting}\``).join(", ")}`,
    "",
    `${doc.text} Type \`${name}\`:`,
    "",
    "```ts",
    writeSignature(doc),
    "```",
    "",
    "| Argument | Type | Meaning |",
    "| --- | --- | --- |",
    ...doc.parameters.map(writeRow),
    "",
    `Result: ${doc.resultText}`,
    "",
  ]);
  const types = Object.entries(typeDocs).flatMap(([name, { text, type, fields }]) => [
    `### \`${name}\``,
    "",
    text,
    "",
    ...(type === undefined
      ? ["| Field | Type | Meaning |", "| --- | --- | --- |", ...fields.map(writeRow)]
      : ["```ts", type, "```"]),
    "",
  ]);
  return [
    "## Functions",
    "",
    `${functionTerms} Only files in TypeScript and JavaScript have functions. \`import type\` from \`"penstock"\` gives the types by name.`,
    "",
    ...functions,
    ...types,
  ].join("\n");
}

function writeRow({
  name,
  type,
  text,
}: {
  readonly name: string;
  readonly type: string;
  readonly text: string;
}): string {
  return `| \`${name}\` | \`${type.replaceAll("|", "\\|")}\` | ${text} |`;
}
