/** What a chart shows: both axes are logarithmic, so every x and y is above 0. */
export interface Chart {
  readonly title: string;
  readonly x: { readonly label: string; readonly format: (x: number) => string };
  readonly y: { readonly label: string };
  readonly lines: readonly Line[];
}

export interface Line {
  readonly name: string;
  readonly points: readonly Point[];
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** One axis: where a value is, and which values have a line and a label. */
interface Axis {
  place(value: number): number;
  readonly ticks: readonly number[];
}

const [width, height] = [760, 440];
/** Of the area of the lines. */
const [left, right, top, bottom] = [88, width - 24, 100, height - 64];
/** Okabe and Ito's colours, which colour-blind people can tell apart; the shapes help where there is no colour. */
const colours = ["#0072b2", "#e69f00", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#000000"];
const shapes = ["circle", "square", "triangle", "diamond"] as const;

/** Draws a chart as a whole SVG document, readable on light and on dark pages. */
export function drawChart(chart: Chart): string {
  const points = chart.lines.flatMap((line) => line.points);
  const x = makeXAxis(points.map((point) => point.x));
  const y = makeYAxis(points.map((point) => point.y));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif" font-size="13" fill="#24292f">`,
    `<title>${escapeText(chart.title)}</title>`,
    `<rect width="${width}" height="${height}" rx="8" fill="#ffffff"/>`,
    write(left, 32, chart.title, 'font-size="16" font-weight="600"'),
    ...drawLegend(chart.lines),
    ...drawGrid(chart, x, y),
    ...chart.lines.map((line, index) => drawLine(line, index, x, y)),
    "</svg>",
    "",
  ].join("\n");
}

/** The measured values themselves are the ticks of x: there are few, and they are what was chosen. */
function makeXAxis(values: readonly number[]): Axis {
  const ticks = [...new Set(values)].sort((a, b) => a - b);
  return { ticks, place: makeScale(Math.min(...ticks), Math.max(...ticks), left + 24, right - 24) };
}

/** From the round value below the least to the one above the largest. */
function makeYAxis(values: readonly number[]): Axis {
  const [least, largest] = [Math.min(...values), Math.max(...values)];
  const candidates = [[1, 1.5, 2, 3, 4, 5, 6, 8], [1, 2, 5], [1]].map((steps) =>
    listRoundValues(least, largest, steps),
  );
  // More than so many lines are a mesh.
  const ticks = candidates.find(({ length }) => length <= 10) ?? [least, largest];
  return { ticks, place: makeScale(ticks[0] ?? least, ticks.at(-1) ?? largest, bottom, top) };
}

/** Powers of ten times `steps`, from the last at or below `least` to the first at or above `largest`. */
function listRoundValues(least: number, largest: number, steps: readonly number[]): number[] {
  const all: number[] = [];
  for (let power = Math.floor(Math.log10(least)) - 1; power <= Math.ceil(Math.log10(largest)) + 1; power += 1)
    all.push(...steps.map((step) => Number(`${step}e${power}`)));
  const from = all.findLastIndex((value) => value <= least);
  const to = all.findIndex((value) => value >= largest);
  // Of one value alone there is no scale.
  return all.slice(from, to === from ? to + 2 : to + 1);
}

function makeScale(from: number, to: number, start: number, end: number): (value: number) => number {
  const span = Math.log(to) - Math.log(from);
  return (value) =>
    span === 0 ? (start + end) / 2 : start + ((Math.log(value) - Math.log(from)) / span) * (end - start);
}

function drawGrid(chart: Chart, x: Axis, y: Axis): string[] {
  const middle = (top + bottom) / 2;
  return [
    ...y.ticks.flatMap((value) => [
      drawRule(left, y.place(value), right, y.place(value)),
      write(left - 8, y.place(value) + 4, formatNumber(value), 'text-anchor="end"'),
    ]),
    ...x.ticks.flatMap((value) => [
      drawRule(x.place(value), top, x.place(value), bottom),
      write(x.place(value), bottom + 20, chart.x.format(value), 'text-anchor="middle"'),
    ]),
    `<path d="M${left} ${top}V${bottom}H${right}" fill="none" stroke="#57606a"/>`,
    write((left + right) / 2, bottom + 46, chart.x.label, 'text-anchor="middle"'),
    write(20, middle, chart.y.label, `text-anchor="middle" transform="rotate(-90 20 ${middle})"`),
  ];
}

function drawRule(x1: number, y1: number, x2: number, y2: number): string {
  return `<path d="M${round(x1)} ${round(y1)}L${round(x2)} ${round(y2)}" stroke="#d8dee4"/>`;
}

function drawLegend(lines: readonly Line[]): string[] {
  let [x, y] = [left + 8, 56];
  return lines.flatMap(({ name }, index) => {
    // No font is at hand to measure with: this is wide enough for each of those above.
    const wide = 36 + name.length * 7.6;
    if (x + wide > right) [x, y] = [left + 8, y + 20];
    const entry = [drawMark(index, x, y), write(x + 14, y + 4, name)];
    x += wide;
    return entry;
  });
}

function drawLine(line: Line, index: number, x: Axis, y: Axis): string {
  const places = line.points
    .toSorted((a, b) => a.x - b.x)
    .map((point): Point => ({ x: x.place(point.x), y: y.place(point.y) }));
  const path = places.map((place, at) => `${at === 0 ? "M" : "L"}${round(place.x)} ${round(place.y)}`).join("");
  return [
    "<g>",
    `<title>${escapeText(line.name)}</title>`,
    `<path d="${path}" fill="none" stroke="${colourOf(index)}" stroke-width="2"/>`,
    ...places.map((place) => drawMark(index, place.x, place.y)),
    "</g>",
  ].join("");
}

function drawMark(index: number, x: number, y: number): string {
  const fill = `fill="${colourOf(index)}"`;
  const [cx, cy] = [round(x), round(y)];
  switch (shapes[index % shapes.length] ?? "circle") {
    case "circle":
      return `<circle cx="${cx}" cy="${cy}" r="5" ${fill}/>`;
    case "square":
      return `<path d="M${cx} ${cy}m-4.5 -4.5h9v9h-9z" ${fill}/>`;
    case "triangle":
      return `<path d="M${cx} ${cy}m0 -6l5.5 10h-11z" ${fill}/>`;
    case "diamond":
      return `<path d="M${cx} ${cy}m0 -6l6 6l-6 6l-6 -6z" ${fill}/>`;
  }
}

function colourOf(index: number): string {
  return colours[index % colours.length] ?? "#000000";
}

function write(x: number, y: number, text: string, attributes = ""): string {
  return `<text x="${round(x)}" y="${round(y)}"${attributes === "" ? "" : ` ${attributes}`}>${escapeText(text)}</text>`;
}

/** 1,000 and 0.001, not 1e3 and 1e-3. */
function formatNumber(value: number): string {
  return value.toLocaleString("en", { maximumSignificantDigits: 3 });
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
