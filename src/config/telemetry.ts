import type * as z from "zod";

import { AddressSet } from "../address/address-set.ts";
import type { TelemetryPlan } from "../telemetry/telemetry-plan.ts";
import { cidr, duration, flag, fraction, list, parsed, readCidrs, settings, text } from "./fields.ts";
import type { ListenerAddress } from "./listener-address.ts";
import type { Binding } from "./listener-schema.ts";
import type { Materials } from "./materials.ts";
import { checked, MALFORMED, type Parts } from "./parts.ts";
import { type Problem, type Read, readAccepted, refuse } from "./problem.ts";
import { readDuration } from "./quantity.ts";
import { type References, serverReferences } from "./references.ts";
import { compileServer, findServerConflicts, isInClear, parseServerUrl, serverFields } from "./server-settings.ts";

const EXAMPLE = '"http://127.0.0.1:4318"';

const telemetryFields = {
  otlp: parsed(
    `the address of a collector, such as ${EXAMPLE}`,
    parseCollectorUrl,
    undefined,
    () => "The address",
  ).describe(
    "Collector of OpenTelemetry that traces and metrics are sent to, over OTLP/HTTP as JSON: `http[s]://host[:port][/path]`. `/v1/traces` and `/v1/metrics` are added to it. Nothing is sent through a proxy.",
  ),
  sample: fraction()
    .describe("The part of requests that is traced, from 0 to 1. A client of `trustFrom` decides about its own.")
    .default(0.01),
  trustFrom: list(cidr(), "a list of client addresses or ranges")
    .describe(
      "Clients whose `traceparent` is continued: their requests belong to their trace, are traced when they say so, and the next hop is told our span. That of others goes on unchanged, and has no say. Default: none.",
    )
    .optional(),
  ...serverFields('{ "x-api-key": { env: "OTLP_KEY" } }', "request to the collector, such as its credentials"),
  service: text('a name such as "penstock"', (value) =>
    value.length > 64 ? "is too long. Write at most 64 characters" : undefined,
  )
    .describe("`service.name` of this proxy.")
    .default("penstock"),
  metrics: flag().describe("Send metrics, too: the same as `/metrics` of the sidecar has.").default(true),
  every: duration({ zero: false }).describe("How often metrics are sent.").default("60s"),
};

export const telemetryReferences: References = serverReferences;

export const telemetrySchema = checked(settings(telemetryFields, `a map such as { otlp: ${EXAMPLE} }`), (telemetry) =>
  findServerConflicts(telemetry, "otlp", telemetry.otlp),
)
  .describe("Traces and metrics for a collector of OpenTelemetry. Off unless set.")
  .optional();

type TelemetrySettings = NonNullable<z.output<typeof telemetrySchema>>;

function parseCollectorUrl(written: string): Read<URL> {
  const read = parseServerUrl(written, EXAMPLE);
  return read.ok && /\/v1\/(traces|metrics|logs)\/?$/.test(read.value.pathname)
    ? refuse("has the path of one signal. Leave out what begins with /v1: it is added for each")
    : read;
}

/** A collector that is this proxy: it would refuse what it is sent, and trace that again. */
export function findOwnCollector(
  telemetry: Parts<TelemetrySettings> | undefined,
  findBinding: (address: ListenerAddress) => Binding | undefined,
): Problem[] {
  if (telemetry === undefined || telemetry === MALFORMED || telemetry.otlp === MALFORMED) return [];
  const { hostname, port, protocol } = readAccepted(parseCollectorUrl(telemetry.otlp));
  const host = hostname.replace(/^\[|\]$/g, "");
  const own = findBinding({ host, port: port === "" ? (protocol === "https:" ? 443 : 80) : Number(port) });
  if (own === undefined) return [];
  const what = own.path[0] === "listen" ? "a listener of this proxy" : "the sidecar of this proxy";
  return [
    {
      path: ["telemetry", "otlp"],
      message: `The address is that of ${what}, which takes no telemetry. Write that of a collector, such as ${EXAMPLE}.`,
    },
  ];
}

/** What is told to which collector, and what the operator should know of it. */
export function compileTelemetry(
  telemetry: TelemetrySettings | undefined,
  materials: Materials,
): {
  readonly telemetry: TelemetryPlan | undefined;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
} {
  if (telemetry === undefined) return { telemetry: undefined, problems: [], warnings: [] };
  const { otlp, sample, trustFrom, service, metrics, every } = telemetry;
  const url = readAccepted(parseCollectorUrl(otlp));
  const { headers, ca, problems } = compileServer(telemetry, ["telemetry"], materials);
  return {
    telemetry: {
      url: url.href.replace(/\/+$/, ""),
      sample,
      trustFrom: trustFrom === undefined || trustFrom.length === 0 ? undefined : new AddressSet(readCidrs(trustFrom)),
      headers,
      ca,
      service,
      metricsMs: metrics ? readDuration(every) : undefined,
    },
    problems,
    warnings: isInClear(url)
      ? [
          {
            path: ["telemetry", "otlp"],
            message:
              'Telemetry is sent without TLS: whoever is on the way can read who connects where, and the values of "headers". Write "https://", or a collector on this machine.',
          },
        ]
      : [],
  };
}
