import type * as z from "zod";

import type { Webhook } from "../proxy/hook/webhook.ts";
import { duration, parsed, settings } from "./fields.ts";
import type { Materials } from "./materials.ts";
import { checked } from "./parts.ts";
import type { Problem } from "./problem.ts";
import { readDuration } from "./quantity.ts";
import { compileServer, findServerConflicts, isInClear, parseServerUrl, serverFields } from "./server-settings.ts";

const EXAMPLE = '"https://auth.example/check"';

const timeoutField = (says: string) => duration({ zero: false }).describe(says).optional();

/** Where a webhook is. */
const urlField = parsed(
  `the address of a webhook, such as ${EXAMPLE}`,
  (written) => parseServerUrl(written, EXAMPLE),
  undefined,
  () => "The address",
).describe(
  "Webhook that is asked in place of a function, with a POST of JSON, directly and never through a proxy. It follows no redirect.",
);

const server = serverFields('{ authorization: { env: "HOOK_KEY" } }', "question, such as the credentials of the proxy");

/** A webhook that answers. */
export const webhookSchema = checked(
  settings({
    url: urlField,
    timeout: timeoutField(
      "Time for an answer. A client that waits for it is refused without one. Default: `timeouts.hook`; in a rule `5s`.",
    ),
    cache: duration({ zero: true })
      .describe(
        'How long an answer holds for the same question (in `users` only a positive one); `"0"` for not at all. Default: `auth.cacheTtl`; in a rule `10s`.',
      )
      .optional(),
    ...server,
  }),
  (webhook) => findServerConflicts(webhook, "url", webhook.url),
);

/** A webhook that is only told something: there is no answer to keep. */
export const noticeSchema = checked(
  settings({
    url: urlField,
    timeout: timeoutField("Time for an answer, after which the message is taken for lost. Default: `timeouts.hook`."),
    ...server,
  }),
  (webhook) => findServerConflicts(webhook, "url", webhook.url),
);

export type WebhookSettings = z.output<typeof webhookSchema>;
type NoticeSettings = z.output<typeof noticeSchema>;

/** Compiles a webhook that the schema has accepted; or says what only files and variables show to be wrong. */
export function compileWebhook(
  { url, timeout, headers, ca }: NoticeSettings,
  { path, timeoutMs, materials }: { path: readonly PropertyKey[]; timeoutMs: number; materials: Materials },
): { readonly webhook: Webhook; readonly problems: readonly Problem[] } {
  const { problems, ...compiled } = compileServer({ headers, ca }, path, materials);
  const longestMs = timeout === undefined ? timeoutMs : readDuration(timeout);
  return { webhook: { url, ...compiled, timeoutMs: longestMs }, problems };
}

/** Warns of what is sent without TLS; `danger` is what whoever is on the way can do. */
export function findWebhookWarnings(
  { url }: Pick<NoticeSettings, "url">,
  path: readonly PropertyKey[],
  danger = "read passwords, and answer",
): Problem[] {
  if (!isInClear(new URL(url))) return [];
  const message = `The webhook is asked without TLS: whoever is on the way can ${danger}. Write "https://", or a service on this machine.`;
  return [{ path: [...path, "url"], message }];
}
