import type { Family, Sample, SampleExemplar } from "../sidecar/prometheus-text.ts";
import { formatNanos, listAttributes } from "./otlp.ts";

const CUMULATIVE = 2;

/** When counting began, and when the counts were read; milliseconds since the epoch. */
export interface Span {
  readonly since: number;
  readonly now: number;
}

/** Makes the metrics of OTLP out of families. Names stay as they are, so that the same queries work on both. */
export function listMetrics(families: readonly Family[], span: Span): object[] {
  return families.filter(({ samples }) => samples.length > 0).map((family) => describeFamily(family, span));
}

function describeFamily({ name, type, help, samples }: Family, span: Span): object {
  const unit = findUnit(name);
  const named = { name, description: help, ...(unit !== undefined && { unit }) };
  const times = { startTimeUnixNano: formatNanos(span.since), timeUnixNano: formatNanos(span.now) };
  switch (type) {
    case "counter":
      return {
        ...named,
        sum: {
          dataPoints: samples.map((sample) => ({ ...times, ...describePoint(sample) })),
          aggregationTemporality: CUMULATIVE,
          isMonotonic: true,
        },
      };
    case "gauge":
      return {
        ...named,
        gauge: {
          dataPoints: samples.map((sample) => ({ timeUnixNano: times.timeUnixNano, ...describePoint(sample) })),
        },
      };
    case "histogram":
      return {
        ...named,
        histogram: {
          dataPoints: groupBuckets(samples).map((group) => ({ ...times, ...describeBuckets(group) })),
          aggregationTemporality: CUMULATIVE,
        },
      };
    default:
      return type satisfies never;
  }
}

/** UCUM, as OpenTelemetry writes units. */
function findUnit(name: string): string | undefined {
  const base = name.replace(/_total$/, "");
  return base.endsWith("_seconds") ? "s" : base.endsWith("_bytes") ? "By" : undefined;
}

function describePoint({ labels = {}, value, exemplar }: Sample): object {
  return {
    ...describeLabels(labels),
    asDouble: value,
    ...(exemplar && { exemplars: [describeExemplar(exemplar)] }),
  };
}

function describeLabels(labels: Readonly<Record<string, string>>): object {
  const attributes = listAttributes(labels);
  return attributes.length === 0 ? {} : { attributes };
}

/** The samples of each histogram of a family: its buckets, then sum and count. */
function groupBuckets(samples: readonly Sample[]): Sample[][] {
  const groups: Sample[][] = [];
  let group: Sample[] = [];
  for (const sample of samples) {
    group.push(sample);
    if (sample.suffix !== "_count") continue;
    groups.push(group);
    group = [];
  }
  return groups;
}

function describeBuckets(group: readonly Sample[]): object {
  const buckets = group.filter(({ suffix }) => suffix === "_bucket");
  const { le: _, ...labels } = buckets[0]?.labels ?? {};
  const exemplars = buckets.flatMap(({ exemplar }) => (exemplar === undefined ? [] : [describeExemplar(exemplar)]));
  return {
    ...describeLabels(labels),
    count: String(group.at(-1)?.value ?? 0),
    sum: group.at(-2)?.value ?? 0,
    // Prometheus counts up, OTLP counts each bucket for itself.
    bucketCounts: buckets.map(({ value }, index) => String(value - (buckets[index - 1]?.value ?? 0))),
    explicitBounds: buckets.slice(0, -1).map(({ labels: own }) => Number(own?.["le"])),
    ...(exemplars.length > 0 && { exemplars }),
  };
}

/** Without the span: which one of its trace it was is not kept. */
function describeExemplar({ labels, value, at }: SampleExemplar): object {
  const { trace_id: traceId, ...others } = labels;
  return {
    timeUnixNano: formatNanos(at * 1000),
    asDouble: value,
    filteredAttributes: listAttributes(others),
    ...(traceId !== undefined && { traceId }),
  };
}
