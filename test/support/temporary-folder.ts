import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** A folder of a test's own that is gone when the test is over. */
export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string;
  /** Writes files below the folder: a text as it is, anything else as JSON. */
  write(files: Readonly<Record<string, string | object>>): Promise<void>;
  read(name: string): Promise<string>;
}

export async function makeFolder(files: Readonly<Record<string, string | object>> = {}): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), "penstock-test-"));
  // Servers that give up the rights of root read their files here.
  await chmod(path, 0o755);
  const folder: TemporaryFolder = {
    path,
    async write(added) {
      for (const [name, content] of Object.entries(added)) {
        await mkdir(dirname(join(path, name)), { recursive: true });
        await Bun.write(join(path, name), typeof content === "string" ? content : JSON.stringify(content));
      }
    },
    read: (name) => Bun.file(join(path, name)).text(),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
  await folder.write(files);
  return folder;
}
