/** One line of a family: labels and a value. */
export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
  /** For histograms: `_bucket`, `_sum`, `_count`. */
  readonly suffix?: string;
  /** Of a counter or a bucket: one request that it counts. */
  readonly exemplar?: SampleExemplar | undefined;
}

/** One observation of many. Only OpenMetrics shows it. */
export interface SampleExemplar {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** Seconds since the epoch. */
  readonly at: number;
}

/** All samples of one metric. */
export interface Family {
  /** Full name, in base units, counters ending in `_total`. */
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** Makes a family of one kind. A number is a sample without labels. */
const make =
  (type: Family["type"]) =>
  (name: string, help: string, samples: number | readonly Sample[]): Family => ({
    name,
    type,
    help,
    samples: typeof samples === "number" ? [{ value: samples }] : samples,
  });
export const counter: ReturnType<typeof make> = make("counter");
export const gauge: ReturnType<typeof make> = make("gauge");
export const histogram: ReturnType<typeof make> = make("histogram");

/** Writes the Prometheus text format, version 0.0.4. */
export function formatFamilies(families: readonly Family[]): string {
  let text = "";
  for (const { name, type, help, samples } of families) {
    text += `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`;
    for (const { labels, value, suffix } of samples) {
      text += `${name}${suffix ?? ""}${formatLabels(labels)} ${formatValue(value)}\n`;
    }
  }
  return text;
}

/** Writes OpenMetrics 1.0. */
export function formatOpenMetrics(families: readonly Family[]): string {
  let text = "";
  for (const { name, type, help, samples } of families) {
    // The family of a counter has the name without the suffix of its samples.
    const family = type === "counter" ? name.replace(/_total$/, "") : name;
    text += `# HELP ${family} ${escapeLabel(help)}\n# TYPE ${family} ${type}\n`;
    for (const { labels, value, suffix, exemplar } of samples) {
      text += `${name}${suffix ?? ""}${formatLabels(labels)} ${formatValue(value)}${formatExemplar(exemplar)}\n`;
    }
  }
  return `${text}# EOF\n`;
}

function formatExemplar(exemplar: SampleExemplar | undefined): string {
  if (exemplar === undefined) return "";
  const { labels, value, at } = exemplar;
  return ` # ${formatLabels(labels) || "{}"} ${formatValue(value)} ${at.toFixed(3)}`;
}

function formatLabels(labels: Sample["labels"]): string {
  if (labels === undefined) return "";
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function formatValue(value: number): string {
  if (value === Infinity) return "+Inf";
  if (value === -Infinity) return "-Inf";
  return String(value);
}

/** The bound of a bucket, in the spelling that OpenMetrics asks for; the series are the same in both formats. */
export function formatBound(seconds: number): string {
  return Number.isInteger(seconds) ? seconds.toFixed(1) : String(seconds);
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}
