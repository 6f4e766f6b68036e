/** One line of a chart. */
export interface ChartLine {
  readonly name: string;
  /** The newest last; null where nothing is known. */
  readonly values: readonly (number | null)[];
  /** The custom property with its colour. */
  readonly colour: string;
  readonly format: (value: number) => string;
  /** Drawn downward from the middle. */
  readonly below?: boolean;
  readonly filled?: boolean;
}

export interface ChartSpec {
  readonly lines: readonly ChartLine[];
  /** Steps from the left edge to the right one, whether or not there are so many values. */
  readonly steps: number;
  readonly stepMs: number;
  /** When the newest step ended, in milliseconds since the epoch. */
  readonly until: number;
  /** The step that is looked at, counted from the newest one. */
  readonly cursor: number | undefined;
  readonly formatTime: (at: number) => string;
}

/** Pixels below the plot for the times, and above it. */
const FOOT = 22;
const HEAD = 8;
/** Pixels between two times on the axis at least. */
const TIME_GAP = 110;
/** Seconds between two times on the axis. */
const STEPS_OF_TIME = [60, 120, 180, 300, 900, 1800, 3600, 7200, 10_800, 14_400, 21_600];

/** Draws a chart, in the colours of the page. */
export function drawChart(canvas: HTMLCanvasElement, spec: ChartSpec): void {
  const { clientWidth: width, clientHeight: height } = canvas;
  const context = canvas.getContext("2d");
  if (context === null || width === 0) return;
  const density = Math.max(1, devicePixelRatio);
  if (canvas.width !== Math.round(width * density)) canvas.width = Math.round(width * density);
  if (canvas.height !== Math.round(height * density)) canvas.height = Math.round(height * density);
  context.setTransform(density, 0, 0, density, 0, 0);
  context.clearRect(0, 0, width, height);
  const style = getComputedStyle(canvas);
  const frame = new Frame(context, width, height, spec, (name) => style.getPropertyValue(name).trim());
  context.font = `${style.fontSize} ${style.fontFamily}`;
  frame.grid();
  for (const line of spec.lines) frame.line(line);
  frame.labels();
  if (spec.cursor !== undefined) frame.cursor(spec.cursor);
}

class Frame {
  readonly #context: CanvasRenderingContext2D;
  readonly #width: number;
  readonly #spec: ChartSpec;
  readonly #colour: (name: string) => string;
  readonly #bottom: number;
  /** Where zero is. */
  readonly #zero: number;
  readonly #max: { readonly above: number; readonly below: number };
  readonly #height: number;

  constructor(
    context: CanvasRenderingContext2D,
    width: number,
    height: number,
    spec: ChartSpec,
    colour: (name: string) => string,
  ) {
    this.#context = context;
    this.#width = width;
    this.#spec = spec;
    this.#colour = colour;
    this.#height = height;
    this.#bottom = height - FOOT;
    const findMax = (below: boolean): number =>
      spec.lines
        .filter((line) => (line.below === true) === below)
        .reduce((most, { values }) => values.reduce<number>((max, value) => Math.max(max, value ?? 0), most), 0);
    const isMirrored = spec.lines.some(({ below }) => below);
    this.#max = { above: roundUp(findMax(false)), below: isMirrored ? roundUp(findMax(true)) : 0 };
    // Each side has room for its share, and for its own label.
    const room = this.#bottom - HEAD;
    const share = this.#max.below / (this.#max.above + this.#max.below);
    this.#zero = isMirrored ? this.#bottom - room * Math.min(0.6, Math.max(0.25, share)) : this.#bottom;
  }

  grid(): void {
    const { stepMs, steps, until, formatTime } = this.#spec;
    const context = this.#context;
    context.strokeStyle = this.#colour("--line");
    context.fillStyle = this.#colour("--muted");
    context.lineWidth = 1;
    this.#rule(HEAD + 0.5);
    this.#rule(Math.round(this.#zero) + 0.5);
    if (this.#zero < this.#bottom) this.#rule(this.#bottom - 0.5);
    const spanMs = steps * stepMs;
    const wanted = (spanMs / 1000) * (TIME_GAP / this.#width);
    const each = (STEPS_OF_TIME.find((step) => step >= wanted) ?? 43_200) * 1000;
    // Full hours where the reader is, who may be half an hour beside UTC.
    const zone = new Date(until).getTimezoneOffset() * 60_000;
    context.textBaseline = "alphabetic";
    context.textAlign = "center";
    for (let at = Math.floor((until - zone) / each) * each + zone; at > until - spanMs; at -= each) {
      const x = this.#width * (1 - (until - at) / spanMs);
      const text = formatTime(at);
      const half = context.measureText(text).width / 2;
      if (x - half > 0 && x + half < this.#width) context.fillText(text, x, this.#height - 5);
    }
  }

  line({ values, colour, below, filled }: ChartLine): void {
    const context = this.#context;
    const shade = this.#colour(colour);
    const y = this.#scale(below === true);
    const { steps } = this.#spec;
    const first = Math.max(0, values.length - steps);
    let began: number | undefined;
    let last = 0;
    const fill = (): void => {
      if (began === undefined) return;
      context.lineTo(last, this.#zero);
      context.lineTo(began, this.#zero);
      context.globalAlpha = 0.16;
      context.fillStyle = shade;
      context.fill();
      context.globalAlpha = 1;
    };
    for (const pass of filled === true ? ["fill", "stroke"] : ["stroke"]) {
      context.beginPath();
      began = undefined;
      for (let index = first; index < values.length; index += 1) {
        const value = values[index];
        if (value === null || value === undefined) {
          if (pass === "fill") fill();
          began = undefined;
          if (pass === "fill") context.beginPath();
          continue;
        }
        const x = this.#x(values.length - 1 - index);
        if (began === undefined) {
          began = x;
          context.moveTo(x, y(value));
          // A step that stands alone is a dot.
          if (pass === "stroke" && isAlone(values, index)) context.lineTo(x + 1.5, y(value));
        } else context.lineTo(x, y(value));
        last = x;
      }
      if (pass === "fill") fill();
    }
    context.strokeStyle = shade;
    // Where several steps share a pixel, a fine line leaves more to see.
    context.lineWidth = steps > this.#width * 1.5 ? 1 : 1.5;
    context.lineJoin = "round";
    context.stroke();
  }

  /** The greatest values, at the edges. */
  labels(): void {
    const context = this.#context;
    context.fillStyle = this.#colour("--muted");
    context.textAlign = "left";
    const [above] = this.#spec.lines;
    const below = this.#spec.lines.find((line) => line.below);
    context.textBaseline = "top";
    if (above !== undefined) this.#label(above.format(this.#max.above), HEAD + 5, "top");
    if (below !== undefined) this.#label(below.format(this.#max.below), this.#bottom - 5, "bottom");
  }

  cursor(fromNewest: number): void {
    const context = this.#context;
    const x = Math.round(this.#x(fromNewest)) + 0.5;
    context.strokeStyle = this.#colour("--ink");
    context.globalAlpha = 0.5;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x, HEAD);
    context.lineTo(x, this.#bottom);
    context.stroke();
    context.globalAlpha = 1;
    for (const { values, colour, below } of this.#spec.lines) {
      const value = values[values.length - 1 - fromNewest];
      if (value === null || value === undefined) continue;
      context.beginPath();
      context.arc(x, this.#scale(below === true)(value), 3.5, 0, 2 * Math.PI);
      context.fillStyle = this.#colour(colour);
      context.fill();
      context.lineWidth = 1.5;
      context.strokeStyle = this.#colour("--paper");
      context.stroke();
    }
  }

  #label(text: string, y: number, baseline: CanvasTextBaseline): void {
    const context = this.#context;
    context.textBaseline = baseline;
    // Readable on top of a line.
    context.strokeStyle = this.#colour("--paper");
    context.lineWidth = 4;
    context.strokeText(text, 2, y);
    context.fillText(text, 2, y);
  }

  #rule(y: number): void {
    this.#context.beginPath();
    this.#context.moveTo(0, y);
    this.#context.lineTo(this.#width, y);
    this.#context.stroke();
  }

  #x(fromNewest: number): number {
    return this.#width * (1 - fromNewest / (this.#spec.steps - 1));
  }

  #scale(below: boolean): (value: number) => number {
    const zero = this.#zero;
    const [room, max] = below ? [this.#bottom - zero, this.#max.below] : [zero - HEAD, this.#max.above];
    const sign = below ? 1 : -1;
    return (value) => zero + (sign * room * value) / max;
  }
}

function isAlone(values: readonly (number | null)[], index: number): boolean {
  return (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null;
}

/** The next round number: 1, 2, 2.5 or 5 times a power of ten. */
function roundUp(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 2.5, 5, 10].find((step) => step * power >= value) ?? 10;
  return factor * power;
}
