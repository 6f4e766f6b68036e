import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { read, root } from "./package-files.ts";
import { listBundled, listRuntimeParts } from "./sbom.ts";

const HEAD = `The executable of Penstock contains the packages below, whose licences ask for
these texts to go with it, and the Bun runtime.
`;

/** The licences of what the executable contains. Throws for a package that names none: it must not be distributed. */
export async function writeThirdParty(): Promise<string> {
  const packages = await Promise.all((await listBundled()).map(describePackage));
  return [HEAD, ...packages, describeRuntime()].join(`\n${"-".repeat(78)}\n\n`);
}

interface Manifest {
  readonly version: string;
  readonly license?: string;
  readonly repository?: { readonly url?: string };
}

async function describePackage(name: string): Promise<string> {
  const folder = `node_modules/${name}`;
  const { version, license, repository } = JSON.parse(await read(`${folder}/package.json`)) as Manifest;
  if (license === undefined) throw new Error(`${name} names no licence`);
  const head = `${name} ${version}: ${license}\n`;
  const names = (await readdir(join(root, folder))).filter((file) =>
    /^(?:licen[cs]e|copying|notice|copyright)/i.test(file),
  );
  if (names.length === 0)
    return `${head}\nIt is published without the text: ${repository?.url ?? "no address is known"}\n`;
  const texts = await Promise.all(names.toSorted().map((file) => read(`${folder}/${file}`)));
  return [head, ...texts.map((text) => `${text.replaceAll("\r\n", "\n").trim()}\n`)].join("\n");
}

/** Bun is published without the texts: only what it names. */
function describeRuntime(): string {
  const parts = listRuntimeParts().map(
    ({ name, version, licenses: [license] }) => `  ${name} ${version}: ${license?.expression ?? ""}\n`,
  );
  return `Bun ${Bun.version}, commit ${Bun.revision}: MIT\n\nhttps://github.com/oven-sh/bun/blob/main/LICENSE.md has the texts. Its parts, as far as it names them:\n\n${parts.join("")}`;
}
