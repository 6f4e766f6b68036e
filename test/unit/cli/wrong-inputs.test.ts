import { expect, test } from "bun:test";

import { runCli } from "../../../src/cli/run-cli.ts";
import rows from "../../fixtures/wrong-inputs.json";
import { createFakeIo } from "../../support/fake-io.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

/** A command line or a configuration that is wrong, and everything that is told of it. */
interface WrongInput {
  readonly argv: readonly string[];
  readonly files?: Readonly<Record<string, string | undefined>>;
  readonly code: number;
  /** "FOLDER" stands for the working folder. */
  readonly told: readonly string[];
}

const inputs: readonly WrongInput[] = rows;

test.each(inputs.map((input) => [`${input.argv.join(" ")} ${JSON.stringify(input.files ?? {})}`, input] as const))(
  "%s is told in full",
  async (_, { argv, files = {}, code, told }) => {
    const written = Object.entries(files).flatMap(([name, text]) => (text === undefined ? [] : [[name, text]]));
    await using folder = await makeFolder(Object.fromEntries(written) as Record<string, string>);
    const io = createFakeIo({ folder: folder.path });
    expect(await runCli(argv, io)).toBe(code);
    expect(io.told.map((line) => line.replaceAll(folder.path, "FOLDER"))).toEqual([...told]);
  },
);

test("no message has a secret of these inputs", () => {
  expect(inputs.length).toBeGreaterThan(40);
  expect(inputs.flatMap(({ told }) => told).filter((line) => line.includes("hunter2"))).toEqual([]);
});
