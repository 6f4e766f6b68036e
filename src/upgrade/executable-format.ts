/** What a program file was built for, in the words of the names of releases: `linux-x64`, `linux-arm64-musl`. */
export function describeExecutable(bytes: Uint8Array): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    return readElf(view) ?? readMachO(view) ?? readPe(view);
  } catch (error) {
    // An offset beyond the end: the file was cut.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

const ELF_MACHINES: Readonly<Record<number, string>> = { 62: "x64", 183: "arm64" };
const PT_INTERP = 3;

/** ELF of 64 bits, little-endian: elf(5). The name of the loader tells the C library. */
function readElf(view: DataView): string | undefined {
  if (view.getUint32(0) !== 0x7f454c46) return undefined;
  const machine = ELF_MACHINES[view.getUint16(18, true)];
  if (view.getUint8(4) !== 2 || view.getUint8(5) !== 1 || machine === undefined) return undefined;
  const at = Number(view.getBigUint64(32, true));
  const size = view.getUint16(54, true);
  for (let index = 0; index < view.getUint16(56, true); index += 1) {
    const header = at + index * size;
    if (view.getUint32(header, true) !== PT_INTERP) continue;
    const from = Number(view.getBigUint64(header + 8, true));
    const loader = readAscii(view, from, Number(view.getBigUint64(header + 32, true)));
    return `linux-${machine}${loader.includes("musl") ? "-musl" : ""}`;
  }
  return `linux-${machine}`;
}

const MACH_O_MACHINES: Readonly<Record<number, string>> = { 0x01000007: "x64", 0x0100000c: "arm64" };

function readMachO(view: DataView): string | undefined {
  if (view.getUint32(0, true) !== 0xfeedfacf) return undefined;
  const machine = MACH_O_MACHINES[view.getUint32(4, true)];
  return machine && `darwin-${machine}`;
}

const PE_MACHINES: Readonly<Record<number, string>> = { 0x8664: "x64", 0xaa64: "arm64" };

function readPe(view: DataView): string | undefined {
  if (view.getUint16(0) !== 0x4d5a) return undefined;
  const at = view.getUint32(0x3c, true);
  if (view.getUint32(at) !== 0x50450000) return undefined;
  const machine = PE_MACHINES[view.getUint16(at + 4, true)];
  return machine && `windows-${machine}`;
}

/** The name of a loader is short; a longer one is cut. */
function readAscii(view: DataView, from: number, length: number): string {
  let text = "";
  for (let at = 0; at < Math.min(length, 256); at += 1) text += String.fromCharCode(view.getUint8(from + at));
  return text;
}
