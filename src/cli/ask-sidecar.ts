import { isRecord } from "../config/plain-data.ts";
import type { SidecarAccess } from "./find-sidecar.ts";

/** The answer, or why there is none. */
export function askSidecar(
  access: SidecarAccess,
  url: URL,
  method: string,
  signal?: AbortSignal,
): Promise<Response | string> {
  return requestSidecar(access, url, { method, ...(signal && { signal }) });
}

/** What a request is beside its address. */
interface RequestParts {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** As `askSidecar`, with fields of its own. */
export async function requestSidecar(
  { unix, token, tls }: SidecarAccess,
  url: URL,
  { method = "GET", headers, signal }: RequestParts,
): Promise<Response | string> {
  try {
    return await fetch(url, {
      method,
      redirect: "manual",
      headers: { ...headers, Authorization: `Bearer ${token}` },
      // Ignores the proxy variables of the environment; an empty text does not.
      proxy: false,
      ...(signal && { signal }),
      ...(unix !== undefined && { unix }),
      ...(tls && { tls }),
    });
  } catch (error) {
    return `Cannot reach the sidecar at ${unix ?? url.origin}: ${describeError(error)}.`;
  }
}

/** What an RFC 9457 problem says. */
export async function readDetail(answer: Response): Promise<string> {
  const detail = (await readJson(answer))["detail"];
  return typeof detail === "string" ? detail : "it does not say why.";
}

/** The members of a JSON object; none when the answer is none. */
export async function readJson(answer: Response): Promise<Readonly<Record<string, unknown>>> {
  try {
    const body: unknown = JSON.parse(await answer.text());
    return isRecord(body) ? body : {};
  } catch {
    // Not an answer of our sidecar.
    return {};
  }
}

function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}
