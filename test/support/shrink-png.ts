import { crc32, deflateSync, inflateSync } from "node:zlib";

/** Pixels of a picture, three bytes each. */
interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

const COLOURS = 256;
/** The bits of a colour that make it another shade: the upper two of each part. */
const SHADE = 0xc0_c0_c0;

/** Writes a PNG with 256 of its colours (https://www.w3.org/TR/png-3/): a screenshot becomes a third as large. */
export function shrinkPng(png: Buffer): Buffer {
  const { width, height, rgb } = decode(png);
  const counts = new Map<number, number>();
  for (let at = 0; at < rgb.length; at += 3) {
    const colour = readColour(rgb, at);
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  const frequent = [...counts].sort(([, one], [, other]) => other - one).map(([colour]) => colour);
  // Of each shade the most frequent colour first, so that thin lines keep theirs.
  const shades = new Map(frequent.toReversed().map((colour) => [colour & SHADE, colour]));
  const ofShades = frequent.filter((colour) => shades.get(colour & SHADE) === colour).slice(0, COLOURS / 2);
  const palette = [...new Set([...ofShades, ...frequent])].slice(0, COLOURS);
  const indexes = new Map(palette.map((colour, index) => [colour, index]));
  const lines = Buffer.alloc(height * (width + 1));
  for (let at = 0; at < width * height; at += 1) {
    const colour = readColour(rgb, at * 3);
    const index = indexes.get(colour) ?? findNearest(palette, colour);
    indexes.set(colour, index);
    lines[Math.floor(at / width) * (width + 1) + 1 + (at % width)] = index;
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3, 0, 0, 0], 8);
  return Buffer.concat([
    png.subarray(0, 8),
    chunk("IHDR", head),
    chunk("PLTE", Buffer.from(palette.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]))),
    chunk("IDAT", deflateSync(lines, { level: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function readColour(rgb: Uint8Array, at: number): number {
  return ((rgb[at] ?? 0) << 16) | ((rgb[at + 1] ?? 0) << 8) | (rgb[at + 2] ?? 0);
}

function findNearest(palette: readonly number[], colour: number): number {
  let nearest = 0;
  let least = Infinity;
  for (const [index, other] of palette.entries()) {
    const red = (colour >> 16) - (other >> 16);
    const green = ((colour >> 8) & 255) - ((other >> 8) & 255);
    const blue = (colour & 255) - (other & 255);
    const distance = red * red + green * green + blue * blue;
    if (distance < least) [nearest, least] = [index, distance];
  }
  return nearest;
}

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(named), 4);
  return Buffer.concat([frame.subarray(0, 4), named, frame.subarray(4)]);
}

/** Reads what Chromium writes: 8 bits of red, green and blue, and perhaps of transparency, which screenshots have none of. */
function decode(png: Buffer): Pixels {
  const width = png.readUInt32BE(16);
  const height = png.readUInt32BE(20);
  const size = png[25] === 6 ? 4 : 3;
  const parts: Buffer[] = [];
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at);
    if (png.toString("latin1", at + 4, at + 8) === "IDAT") parts.push(png.subarray(at + 8, at + 8 + length));
    at += length + 12;
  }
  const packed = inflateSync(Buffer.concat(parts));
  const line = width * size;
  const plain = new Uint8Array(line * height);
  for (let y = 0; y < height; y += 1) unfilter(packed, plain, { y, line, size });
  const rgb = new Uint8Array(width * height * 3);
  for (let at = 0; at < width * height; at += 1) rgb.set(plain.subarray(at * size, at * size + 3), at * 3);
  return { width, height, rgb };
}

/** PNG §9: each byte is the difference to what its neighbours predict. */
function unfilter(
  packed: Uint8Array,
  plain: Uint8Array,
  { y, line, size }: { readonly y: number; readonly line: number; readonly size: number },
): void {
  const from = y * (line + 1);
  const to = y * line;
  for (let x = 0; x < line; x += 1) {
    const left = x < size ? 0 : (plain[to + x - size] ?? 0);
    const above = y === 0 ? 0 : (plain[to + x - line] ?? 0);
    const corner = x < size || y === 0 ? 0 : (plain[to + x - line - size] ?? 0);
    const predicted = [0, left, above, (left + above) >> 1, paeth(left, above, corner)][packed[from] ?? 0] ?? 0;
    plain[to + x] = (packed[from + 1 + x] ?? 0) + predicted;
  }
}

function paeth(left: number, above: number, corner: number): number {
  const guess = left + above - corner;
  const [byLeft, byAbove, byCorner] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - corner)];
  if (byLeft <= byAbove && byLeft <= byCorner) return left;
  return byAbove <= byCorner ? above : corner;
}
