import type { Hono } from "hono";
import { describe } from "./describe-route.ts";
import type { Guards } from "./guard.ts";
import type { MetricsForm } from "./metrics-text.ts";
import { refuseOtherMethods } from "./problem.ts";
import { takeQuery } from "./read-query.ts";

const CONTENT_TYPES: Readonly<Record<MetricsForm, string>> = {
  text: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/** Serves the metrics: OpenMetrics to who asks for it, and else the text format of Prometheus. */
export function mountMetrics(app: Hono, { read }: Pick<Guards, "read">, write: (form: MetricsForm) => string): void {
  app.get(
    "/metrics",
    describe({
      summary: "Metrics for Prometheus.",
      needs: "read",
      answer: "text/plain",
      also: { "application/openmetrics-text": undefined },
    }),
    read,
    takeQuery(),
    (context) => {
      const form = chooseForm(context.req.header("Accept") ?? "");
      return context.body(write(form), 200, { "Content-Type": CONTENT_TYPES[form], Vary: "Accept" });
    },
  );
  refuseOtherMethods(app, "/metrics", "GET, HEAD", read);
}

/** OpenMetrics must be asked for by name, and at least as gladly as text (RFC 9110 §12.5.1). */
function chooseForm(accept: string): MetricsForm {
  let openMetrics = 0;
  let text: number | undefined;
  let any = 0;
  for (const range of accept.toLowerCase().split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim());
    const quality = readQuality(parameters);
    if (type === "application/openmetrics-text" && isKnownVersion(parameters))
      openMetrics = Math.max(openMetrics, quality);
    else if (type === "text/plain") text = Math.max(text ?? 0, quality);
    else if (type === "text/*" || type === "*/*") any = Math.max(any, quality);
  }
  return openMetrics > 0 && openMetrics >= (text ?? any) ? "openmetrics" : "text";
}

/** Version 0.0.1 is the same but for what is not used here. */
function isKnownVersion(parameters: readonly string[]): boolean {
  const version = parameters.find((parameter) => parameter.startsWith("version="))?.slice("version=".length);
  return version === undefined || /^"?(0\.0\.1|1\.0\.0)"?$/.test(version);
}

function readQuality(parameters: readonly string[]): number {
  const written = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
  const quality = written === undefined ? 1 : Number(written);
  return quality >= 0 && quality <= 1 ? quality : 0;
}
