import { collectProcessFamilies } from "./process-families.ts";
import { formatFamilies } from "./prometheus-text.ts";
import { collectProxyFamilies, type MetricSources } from "./proxy-families.ts";

/** Everything there is to measure, in the Prometheus text format. */
export function writeMetricsText(sources: MetricSources): string {
  return formatFamilies([...collectProxyFamilies(sources), ...collectProcessFamilies()]);
}
