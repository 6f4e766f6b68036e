import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expectProgram } from "./program.ts";
import { makeFolder } from "./temporary-folder.ts";

/** A Debian repository without suites, served on a free loopback port. */
export interface AptRepository extends AsyncDisposable {
  /** For `sources.list`. */
  readonly url: string;
  readonly port: number;
  /** Names of the packages in it. */
  readonly packages: readonly string[];
  /** The bytes of a package's file. */
  read(name: string): Uint8Array<ArrayBuffer>;
}

/** A file name that has to be escaped in the URI: an epoch's colon, a plus and a tilde. */
const VERSION = "1:1.0+test~1";
const UPDATED = new Date("2026-01-02T03:04:05Z");

/** Builds packages of some tens of kilobytes with dpkg-deb and serves them as a mirror does, with 304 and Last-Modified. */
export async function startAptRepository(packages: readonly string[]): Promise<AptRepository> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await makeFolder());
  const fileOf = (name: string): string => `${name}_${VERSION.replace(":", "%3a")}_all.deb`;
  const built = await Promise.all(packages.map((name) => buildPackage(folder.path, name, fileOf(name))));
  const index = built.map(({ entry }) => entry).join("\n");
  const files = new Map<string, string | Uint8Array<ArrayBuffer>>([
    ["/Packages", index],
    ["/Release", formatRelease(index)],
    ...built.map(({ bytes }, at) => [`/${fileOf(packages[at] ?? "")}`, bytes] as const),
  ]);
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    // Answers at once: apt sends several requests before it reads, and Bun closes where the first has to wait.
    fetch(request) {
      const file = files.get(decodeURIComponent(new URL(request.url).pathname));
      if (file === undefined) return new Response("not here\n", { status: 404 });
      if (request.headers.get("If-Modified-Since") === UPDATED.toUTCString())
        return new Response(null, { status: 304 });
      return new Response(file, {
        headers: { "Content-Type": "application/octet-stream", "Last-Modified": UPDATED.toUTCString() },
      });
    },
  });
  stack.defer(() => server.stop(true));
  const owned = stack.move();
  return {
    url: `http://127.0.0.1:${server.port}`,
    port: server.port ?? 0,
    packages,
    read(name) {
      const file = files.get(`/${fileOf(name)}`);
      if (file === undefined || typeof file === "string") throw new Error(`There is no package ${name}`);
      return file;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface Package {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** In the index. */
  readonly entry: string;
}

async function buildPackage(folder: string, name: string, file: string): Promise<Package> {
  const tree = join(folder, `tree-${name}`);
  const control = [
    `Package: ${name}`,
    `Version: ${VERSION}`,
    "Architecture: all",
    "Maintainer: Nobody <nobody@example.com>",
    "Description: Something to get through a proxy",
    "",
  ].join("\n");
  await mkdir(join(tree, "DEBIAN"), { recursive: true });
  await writeFile(join(tree, "DEBIAN/control"), control);
  await writeFile(join(tree, "content"), crypto.getRandomValues(new Uint8Array(50_000)));
  await expectProgram(["dpkg-deb", "--root-owner-group", "--build", tree, join(folder, file)]);
  const bytes = await Bun.file(join(folder, file)).bytes();
  return { bytes, entry: `${control}Filename: ./${file}\nSize: ${bytes.length}\nSHA256: ${hash(bytes)}\n` };
}

function formatRelease(index: string): string {
  const now = new Date().toUTCString();
  return `Origin: Test\nDate: ${now}\nSHA256:\n ${hash(index)} ${Buffer.byteLength(index)} Packages\n`;
}

function hash(content: string | Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(content).digest("hex");
}
