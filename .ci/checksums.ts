import { basename, join } from "node:path";

/** Checksums of what was built, for whoever downloads it: `sha256sum -c SHA256SUMS`. */
export async function writeChecksums(folder: string, files: readonly string[]): Promise<void> {
  const lines = await Promise.all(
    files.map(async (file) => {
      const hasher = new Bun.CryptoHasher("sha256");
      for await (const chunk of Bun.file(file).stream()) hasher.update(chunk);
      return `${hasher.digest("hex")}  ${basename(file)}\n`;
    }),
  );
  await Bun.write(join(folder, "SHA256SUMS"), lines.join(""));
}
