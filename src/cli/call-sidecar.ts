import { readList } from "../config/plain-data.ts";
import type { Operations } from "../sidecar/operations.ts";
import { askSidecar, readDetail, readJson } from "./ask-sidecar.ts";
import type { SidecarAccess } from "./find-sidecar.ts";

/** What the sidecar can be asked, such as `GET /tunnels`. */
type OperationName = keyof Operations;

interface CallOptions<Name extends OperationName> {
  /** What stands for `{name}` in the path. */
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Operations[Name]["query"];
}

/** The answer, or why there is none: `status` is undefined when nobody answered. */
export type Called<Name extends OperationName> =
  { readonly ok: true; readonly answer: Operations[Name]["answer"] } | FailedCall;

interface FailedCall {
  readonly ok: false;
  readonly status: number | undefined;
  readonly message: string;
  /** What is wrong with a configuration. */
  readonly problems: readonly string[];
}

/** Asks for an operation of `/openapi.json`. Its types are those of the sidecar of this version. */
export async function callSidecar<Name extends OperationName>(
  access: SidecarAccess,
  name: Name,
  { params = {}, query = {} }: CallOptions<Name> = {},
): Promise<Called<Name>> {
  const [method = "", path = ""] = name.split(" ");
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, key: string) => encodeURIComponent(params[key] ?? ""));
  const url = new URL(filled, access.url);
  for (const [key, value] of Object.entries(query)) if (typeof value === "string") url.searchParams.set(key, value);
  const response = await askSidecar(access, url, method);
  if (typeof response === "string") return { ok: false, status: undefined, message: response, problems: [] };
  if (!response.ok) {
    const copy = response.clone();
    const message = await readDetail(response);
    const { problems } = await readJson(copy);
    return { ok: false, status: response.status, message, problems: readList(problems).map(String) };
  }
  const body = await readJson(response);
  if (response.status === 204) return { ok: true, answer: undefined as Operations[Name]["answer"] };
  if (Object.keys(body).length > 0) return { ok: true, answer: body };
  return { ok: false, status: response.status, message: "it answered with something else.", problems: [] };
}

/** Why there is no answer. */
export function describeFailedCall({ status, message }: Pick<FailedCall, "status" | "message">): string {
  return status === undefined ? message : `The sidecar refused (${status}): ${message}`;
}
