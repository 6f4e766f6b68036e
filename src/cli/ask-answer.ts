import type * as z from "zod";
import { askSidecar, readDetail, readJson } from "./ask-sidecar.ts";
import type { SidecarAccess } from "./find-sidecar.ts";
import { exitCodes } from "./io.ts";

/** An answer as it is described, and as it came; or why there is none, in a sentence for people. */
export type Asked<T> =
  | { readonly ok: true; readonly value: T; readonly raw: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly status: number | undefined; readonly message: string };

/** Asks for an answer of a known form. */
export async function askAnswer<T>(
  access: SidecarAccess,
  url: URL,
  form: z.ZodType<T>,
  signal?: AbortSignal,
): Promise<Asked<T>> {
  const answer = await askSidecar(access, url, "GET", signal);
  if (typeof answer === "string") return { ok: false, status: undefined, message: answer };
  const { status } = answer;
  if (status !== 200) return { ok: false, status, message: await describeRefusal(answer) };
  const raw = await readJson(answer);
  const read = form.safeParse(raw);
  if (read.success) return { ok: true, value: read.data, raw };
  const place = read.error.issues[0]?.path.join(".") ?? "";
  const message = `The sidecar answered ${url.pathname} in another form${place === "" ? "" : ` (${place})`}: it may be of another version.`;
  return { ok: false, status, message };
}

/** Whether asking again is of no use: the token is wrong or may not do this, or the question is wrong. */
export function isFinalStatus(status: number): boolean {
  return status < 500 && status !== 429;
}

/** The exit code for a refusal: what the sidecar cannot read is wrong on the command line. */
export function findExitCode(status: number | undefined): number {
  return status === 400 ? exitCodes.usage : exitCodes.failure;
}

/** Why the sidecar did not do what it was asked for. */
export async function describeRefusal(answer: Response): Promise<string> {
  const old = answer.status === 404 ? " It may be of an older version." : "";
  return `The sidecar refused (${answer.status}): ${await readDetail(answer)}${old}`;
}
