import * as z from "zod";

import { AddressSet } from "../address/address-set.ts";
import type { TelemetryPlan } from "../telemetry/telemetry-plan.ts";
import { cidr, duration, flag, fraction, list, parsed, pemPaths, readCidrs, secret, settings, text } from "./fields.ts";
import { isLoopbackHost, type ListenerAddress } from "./listener-address.ts";
import type { Binding } from "./listener-schema.ts";
import type { Materials } from "./materials.ts";
import { checked, MALFORMED, type Parts } from "./parts.ts";
import { findAuthorityFaults, listPaths } from "./pem.ts";
import { type Problem, type Read, readAccepted, refuse } from "./problem.ts";
import { readDuration } from "./quantity.ts";
import { findSecret } from "./secrets.ts";

const EXAMPLE = '"http://127.0.0.1:4318"';

/** Fields that say what is sent and where it goes, which are not the operator's to choose. */
const OWN_FIELDS: ReadonlySet<string> = new Set(
  "connection content-encoding content-length content-type expect host keep-alive te trailer transfer-encoding upgrade".split(
    " ",
  ),
);

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
  headers: z
    .record(z.string(), secret(), {
      error: () => 'Found something that is no map of fields. Write one such as { "x-api-key": { env: "OTLP_KEY" } }.',
    })
    .describe("Fields of every request to the collector, such as its credentials. Each value is a secret.")
    .optional(),
  ca: pemPaths()
    .describe(
      "PEM file, or files, with the certificate authorities to trust for `https://`. Default: the ones that come with the program.",
    )
    .optional(),
  service: text('a name such as "penstock"', (value) =>
    value.length > 64 ? "is too long. Write at most 64 characters" : undefined,
  )
    .describe("`service.name` of this proxy.")
    .default("penstock"),
  metrics: flag().describe("Send metrics, too: the same as `/metrics` of the sidecar has.").default(true),
  every: duration({ zero: false }).describe("How often metrics are sent.").default("60s"),
};

export const telemetrySchema = checked(
  settings(telemetryFields, `a map such as { otlp: ${EXAMPLE} }`),
  ({ otlp, headers, ca }) => {
    const problems: Problem[] = [];
    if (headers !== undefined && headers !== MALFORMED)
      for (const name of Object.keys(headers)) {
        const fault = findNameFault(name);
        if (fault !== undefined) problems.push({ path: ["headers", name], message: fault });
      }
    if (otlp !== MALFORMED && ca !== undefined && readAccepted(parseCollectorUrl(otlp)).protocol !== "https:")
      problems.push({
        path: ["ca"],
        message: 'There is no TLS to check. Write "https://" in "otlp", or leave "ca" out.',
      });
    return problems;
  },
)
  .describe("Traces and metrics for a collector of OpenTelemetry. Off unless set.")
  .optional();

type TelemetrySettings = NonNullable<z.output<typeof telemetrySchema>>;

function findNameFault(name: string): string | undefined {
  if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/.test(name))
    return 'This is no name of a field. Write one such as "x-api-key".';
  return OWN_FIELDS.has(name.toLowerCase()) ? "The proxy writes this field itself. Leave it out." : undefined;
}

/** Reads `http[s]://host[:port][/path]`. Messages do not repeat it: it may have a password. */
function parseCollectorUrl(written: string): Read<URL> {
  if (!/^https?:\/\//i.test(written) || !URL.canParse(written))
    return refuse(`cannot be read. Write one such as ${EXAMPLE}`);
  const url = new URL(written);
  if (url.username !== "" || url.password !== "")
    return refuse('has credentials. Write them in "headers", as { authorization: { env: "NAME" } }');
  if (url.search !== "" || url.hash !== "" || written.includes("?") || written.includes("#"))
    return refuse(`has a query or a fragment. Write one such as ${EXAMPLE}`);
  if (/\/v1\/(traces|metrics|logs)\/?$/.test(url.pathname))
    return refuse("has the path of one signal. Leave out what begins with /v1: it is added for each");
  return { ok: true, value: url };
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

/** What only the files and variables show to be wrong. */
export function findTelemetryProblems(telemetry: TelemetrySettings | undefined, materials: Materials): Problem[] {
  if (telemetry === undefined) return [];
  const { ca, headers = {} } = telemetry;
  const authorities = ca === undefined ? [] : findAuthorityFaults(ca, ["telemetry", "ca"], materials.files);
  const values = Object.entries(headers).flatMap(([name, source]) => {
    const value = findSecret(source, materials)?.reveal();
    if (value === undefined || /^[\x20-\x7e]{1,8192}$/.test(value)) return [];
    const message = "The value cannot be sent. It must be up to 8192 printable characters of ASCII.";
    return [{ path: ["telemetry", "headers", name], message }];
  });
  return [...authorities, ...values];
}

/** What is told to which collector, and what the operator should know of it. */
export function compileTelemetry(
  telemetry: TelemetrySettings | undefined,
  materials: Materials,
): { readonly telemetry: TelemetryPlan | undefined; readonly warnings: readonly Problem[] } {
  if (telemetry === undefined) return { telemetry: undefined, warnings: [] };
  const { otlp, sample, trustFrom, headers = {}, ca, service, metrics, every } = telemetry;
  const url = readAccepted(parseCollectorUrl(otlp));
  const isOpen = url.protocol === "http:" && !isLoopbackHost(url.hostname.replace(/^\[|\]$/g, ""));
  return {
    telemetry: {
      url: url.href.replace(/\/+$/, ""),
      sample,
      trustFrom: trustFrom === undefined || trustFrom.length === 0 ? undefined : new AddressSet(readCidrs(trustFrom)),
      headers: Object.entries(headers).flatMap(([name, source]) => {
        const value = findSecret(source, materials);
        return value === undefined ? [] : [[name, value] as const];
      }),
      ca: ca === undefined ? undefined : listPaths(ca).map((path) => materials.files.get(path) ?? ""),
      service,
      metricsMs: metrics ? readDuration(every) : undefined,
    },
    warnings: isOpen
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
