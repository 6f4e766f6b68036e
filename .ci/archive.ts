/** Files of archives that are the same bytes whenever and wherever they are made. */
export interface ArchivedFile {
  /** Without a leading slash. */
  readonly name: string;
  readonly content: Uint8Array;
  readonly mode: 0o644 | 0o755;
}

const BLOCK = 512;

/** A tar archive (POSIX.1-1988) of files that belong to root, in the order of their names. `time` is in seconds since 1970. */
export function writeTar(files: readonly ArchivedFile[], time: number): Buffer {
  const parts: Buffer[] = [];
  for (const { name, content, mode } of files.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (Buffer.byteLength(name) > 100) throw new Error(`${name} is too long for a tar archive`);
    const header = Buffer.alloc(BLOCK);
    header.write(name, 0);
    header.write(`${octal(mode, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0`, 100);
    header.write(`${octal(content.length, 11)}\0${octal(time, 11)}\0        0`, 124);
    header.write("ustar\x0000root", 257);
    header.write("root", 297);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${octal(sum, 6)}\0 `, 148);
    parts.push(header, Buffer.from(content), Buffer.alloc(-content.length & (BLOCK - 1)));
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}

/** Compresses with one thread: with several the bytes go by their number. */
export async function compressXz(content: Uint8Array, level: number): Promise<Buffer> {
  const child = Bun.spawn(["xz", `-${level}`, "-T1", "-c"], { stdin: content, stdout: "pipe", stderr: "inherit" });
  const [bytes, code] = await Promise.all([new Response(child.stdout).arrayBuffer(), child.exited]);
  if (code !== 0) throw new Error(`xz gave ${code}`);
  return Buffer.from(bytes);
}

/** As `gzip -9n`: without a time and a name. */
export function compressGzip(text: string): Uint8Array {
  const bytes = Bun.gzipSync(Buffer.from(text), { level: 9 });
  // The time (RFC 1952 §2.3) is zero already; the system differs by where it runs.
  bytes[9] = 3;
  return bytes;
}
