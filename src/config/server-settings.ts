import * as z from "zod";

import type { Secret } from "../secret.ts";
import { pemPaths, secret, type SecretSource } from "./fields.ts";
import { isLoopbackHost } from "./listener-address.ts";
import type { Materials } from "./materials.ts";
import { MALFORMED } from "./parts.ts";
import { findAuthorityFaults, listPaths } from "./pem.ts";
import { readRecord } from "./plain-data.ts";
import { type Problem, type Read, refuse } from "./problem.ts";
import { findSecret } from "./secrets.ts";

/** Fields that say what is sent and where it goes, which are not the operator's to choose. */
const OWN_FIELDS: ReadonlySet<string> = new Set(
  "accept connection content-encoding content-length content-type expect host keep-alive te trailer transfer-encoding upgrade".split(
    " ",
  ),
);

/** The settings of a server that JSON is sent to, beside its address. `example` is a map of fields, `to` says of what they are. */
export function serverFields(example: string, to: string) {
  return {
    headers: z
      .record(z.string(), secret(), {
        error: () => `Found something that is no map of fields. Write one such as ${example}.`,
      })
      .describe(`Fields of every ${to}. Each value is a secret.`)
      .optional(),
    ca: pemPaths()
      .describe(
        "PEM file, or files, with the certificate authorities to trust for `https://`. Default: the ones that come with the program.",
      )
      .optional(),
  };
}

interface ServerSettings {
  readonly headers?: Readonly<Record<string, SecretSource>> | undefined;
  readonly ca?: Parameters<typeof listPaths>[0] | undefined;
}

/** Reads `http[s]://host[:port][/path]`. Messages do not repeat it: it may have a password. */
export function parseServerUrl(written: string, example: string): Read<URL> {
  if (!/^https?:\/\//i.test(written) || !URL.canParse(written))
    return refuse(`cannot be read. Write one such as ${example}`);
  const url = new URL(written);
  if (url.username !== "" || url.password !== "")
    return refuse('has credentials. Write them in "headers", as { authorization: { env: "NAME" } }');
  if (/[?#]/.test(written))
    return refuse(`has a query or a fragment. Write one such as ${example}, and secrets in "headers"`);
  return { ok: true, value: url };
}

/** Names of fields that cannot be, and authorities for a server without TLS. `address` is the setting with its URL. */
export function findServerConflicts(
  { headers, ca }: { readonly headers?: unknown; readonly ca?: unknown },
  address: string,
  url: string | typeof MALFORMED,
): Problem[] {
  const problems: Problem[] = Object.keys(readRecord(headers)).flatMap((name) => {
    const message = findNameFault(name);
    return message === undefined ? [] : { path: ["headers", name], message };
  });
  if (url !== MALFORMED && ca !== undefined && !/^https:/i.test(url))
    problems.push({
      path: ["ca"],
      message: `There is no TLS to check. Write "https://" in "${address}", or leave "ca" out.`,
    });
  return problems;
}

function findNameFault(name: string): string | undefined {
  if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/.test(name))
    return 'This is no name of a field. Write one such as "x-api-key".';
  return OWN_FIELDS.has(name.toLowerCase()) ? "The proxy writes this field itself. Leave it out." : undefined;
}

/** How to reach the server, and what only files and variables show to be wrong. */
export function compileServer(
  { headers = {}, ca }: ServerSettings,
  path: readonly PropertyKey[],
  materials: Materials,
): {
  readonly headers: readonly (readonly [name: string, value: Secret])[];
  readonly ca: readonly string[] | undefined;
  readonly problems: readonly Problem[];
} {
  const values = Object.entries(headers).flatMap(([name, source]) => {
    const value = findSecret(source, materials);
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    headers: values,
    ca: ca === undefined ? undefined : listPaths(ca).map((file) => materials.files.get(file) ?? ""),
    problems: [
      ...(ca === undefined ? [] : findAuthorityFaults(ca, [...path, "ca"], materials.files)),
      ...values
        .filter(([, value]) => !/^[\t\x20-\x7e]{1,8192}$/.test(value.reveal()))
        .map(([name]) => ({
          path: [...path, "headers", name],
          message: "The value cannot be sent. It must be up to 8192 printable characters of ASCII.",
        })),
    ],
  };
}

/** Whether others than this machine can read what is sent. The schema has accepted the address. */
export function isInClear(url: URL): boolean {
  return url.protocol === "http:" && !isLoopbackHost(url.hostname.replace(/^\[|\]$/g, ""));
}
