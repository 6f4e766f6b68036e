import { copyFileSync, readdirSync, readFileSync, rmSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

/** A file of the page, as it is served. */
export interface PageFile {
  /** With a hash of its content, but for `page.html`. */
  readonly name: string;
  /** Compressed, in base64. */
  readonly gzip: string;
}

/** Geist, copyright The Geist Project Authors, SIL Open Font License 1.1; both are in its name table, too. The style sheet has its name with its version. */
const FONT = "@fontsource-variable/geist/files/geist-latin-wght-normal.woff2";

/**
 * Bundles the page. It is a macro (https://bun.com/docs/bundler/macros): the
 * bundler of the executable calls it and keeps what it gives, and the runtime
 * calls it when the module that imports it is first loaded from source.
 */
export function bundlePage(): PageFile[] {
  const folder = mkdtempSync(join(tmpdir(), "penstock-page-"));
  try {
    // In a process of its own: within a macro the bundler of this one waits.
    const built = Bun.spawnSync([
      process.execPath,
      "build",
      join(import.meta.dir, "ui/page.html"),
      "--minify",
      // The font is a file of its own, so that nothing waits for it.
      "--external=/page/*",
      "--public-path=/page/",
      `--outdir=${folder}`,
      "--entry-naming=[name].[ext]",
      "--chunk-naming=[name]-[hash].[ext]",
      "--asset-naming=[name]-[hash].[ext]",
    ]);
    if (built.exitCode !== 0) throw new Error(`The page cannot be bundled:\n${built.stderr.toString()}`);
    copyFileSync(Bun.resolveSync(FONT, import.meta.dir), join(folder, "geist-5.3.0.woff2"));
    return readdirSync(folder)
      .sort()
      .map((name) => ({
        name,
        gzip: gzipSync(readFileSync(join(folder, name)), { level: 9 }).toString("base64"),
      }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
