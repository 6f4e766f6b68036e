import * as z from "zod";

import type { Webhook } from "../proxy/hook/webhook.ts";
import { duration, parsed, pemPaths, secret, type SecretSource, settings } from "./fields.ts";
import { isLoopbackHost } from "./listener-address.ts";
import type { Materials } from "./materials.ts";
import { checked, MALFORMED, type PartsOf } from "./parts.ts";
import { findAuthorityFaults, listPaths } from "./pem.ts";
import { type Problem, type Read, readAccepted, refuse } from "./problem.ts";
import { readDuration } from "./quantity.ts";
import { findSecret } from "./secrets.ts";

const EXAMPLE = '"https://auth.example/check"';

/** Fields that the proxy writes itself. */
const OWN_FIELDS: ReadonlySet<string> = new Set(
  "accept connection content-encoding content-length content-type expect host keep-alive te trailer transfer-encoding upgrade".split(
    " ",
  ),
);

const timeoutField = (says: string) => duration({ zero: false }).describe(says).optional();

/** Where a webhook is, and how it is asked. */
const addressFields = {
  url: parsed(`the address of a webhook, such as ${EXAMPLE}`, parseWebhookUrl, undefined, () => "The address").describe(
    "Webhook that is asked in place of a function, with a POST of JSON, directly and never through a proxy. It follows no redirect.",
  ),
  headers: z
    .record(z.string(), secret(), {
      error: () =>
        'Found something that is no map of fields. Write one such as { authorization: { env: "HOOK_KEY" } }.',
    })
    .describe("Fields of every question, such as the credentials of the proxy. Each value is a secret.")
    .optional(),
  ca: pemPaths()
    .describe(
      "PEM file, or files, with the certificate authorities to trust for `https://`. Default: the ones that come with the program.",
    )
    .optional(),
};

/** A webhook that answers. */
export const webhookSchema = checked(
  settings({
    url: addressFields.url,
    timeout: timeoutField(
      "Time for an answer. A client that waits for it is refused without one. Default: `timeouts.hook`; in a rule `5s`.",
    ),
    cache: duration({ zero: true })
      .describe(
        'How long an answer holds for the same question (in `users` only a positive one); `"0"` for not at all. Default: `auth.cacheTtl`; in a rule `10s`.',
      )
      .optional(),
    headers: addressFields.headers,
    ca: addressFields.ca,
  }),
  findConflicts,
);

/** A webhook that is only told something: there is no answer to keep. */
export const noticeSchema = checked(
  settings({
    url: addressFields.url,
    timeout: timeoutField("Time for an answer, after which the message is taken for lost. Default: `timeouts.hook`."),
    headers: addressFields.headers,
    ca: addressFields.ca,
  }),
  findConflicts,
);

function findConflicts({ url, headers, ca }: Pick<PartsOf<NoticeSettings>, "url" | "headers" | "ca">): Problem[] {
  const problems: Problem[] = [];
  if (headers !== undefined && headers !== MALFORMED)
    for (const name of Object.keys(headers)) {
      const message = findNameFault(name);
      if (message !== undefined) problems.push({ path: ["headers", name], message });
    }
  if (url !== MALFORMED && ca !== undefined && readAccepted(parseWebhookUrl(url)).protocol !== "https:")
    problems.push({
      path: ["ca"],
      message: 'There is no TLS to check. Write "https://" in "url", or leave "ca" out.',
    });
  return problems;
}

/** Where a webhook is, and how it is asked. */
interface NoticeSettings {
  readonly url: string;
  readonly timeout?: string | undefined;
  readonly headers?: Readonly<Record<string, SecretSource>> | undefined;
  readonly ca?: string | readonly string[] | undefined;
}

export type WebhookSettings = z.output<typeof webhookSchema>;

function findNameFault(name: string): string | undefined {
  if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/.test(name))
    return 'This is no name of a field. Write one such as "x-api-key".';
  return OWN_FIELDS.has(name.toLowerCase()) ? "The proxy writes this field itself. Leave it out." : undefined;
}

/** Messages do not repeat the address: it may have a password. */
function parseWebhookUrl(written: string): Read<URL> {
  if (!/^https?:\/\//i.test(written) || !URL.canParse(written))
    return refuse(`cannot be read. Write one such as ${EXAMPLE}`);
  const url = new URL(written);
  if (url.username !== "" || url.password !== "")
    return refuse('has credentials. Write them in "headers", as { authorization: { env: "NAME" } }');
  if (/[?#]/.test(written))
    return refuse(`has a query or a fragment. Write one such as ${EXAMPLE}, and secrets in "headers"`);
  return { ok: true, value: url };
}

/** Compiles a webhook that the schema has accepted; or says what only files and variables show to be wrong. */
export function compileWebhook(
  { url, timeout, headers = {}, ca }: NoticeSettings,
  { path, timeoutMs, materials }: { path: readonly PropertyKey[]; timeoutMs: number; materials: Materials },
): { readonly webhook: Webhook; readonly problems: readonly Problem[] } {
  const values = Object.entries(headers).flatMap(([name, source]) => {
    const value = findSecret(source, materials);
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    webhook: {
      url,
      headers: values,
      ca: ca === undefined ? undefined : listPaths(ca).map((file) => materials.files.get(file) ?? ""),
      timeoutMs: timeout === undefined ? timeoutMs : readDuration(timeout),
    },
    problems: [
      ...(ca === undefined ? [] : findAuthorityFaults(ca, [...path, "ca"], materials.files)),
      ...values
        .filter(([, value]) => /[^\t\x20-\x7e]/.test(value.reveal()))
        .map(([name]) => ({
          path: [...path, "headers", name],
          message: "The value has characters that a field cannot have. Write printable ASCII.",
        })),
    ],
  };
}

/** Warns of what is sent without TLS; `danger` is what whoever is on the way can do. */
export function findWebhookWarnings(
  { url }: Pick<NoticeSettings, "url">,
  path: readonly PropertyKey[],
  danger = "read passwords, and answer",
): Problem[] {
  const { protocol, hostname } = new URL(url);
  if (protocol === "https:" || isLoopbackHost(hostname.replace(/^\[|\]$/g, ""))) return [];
  const message = `The webhook is asked without TLS: whoever is on the way can ${danger}. Write "https://", or a service on this machine.`;
  return [{ path: [...path, "url"], message }];
}
