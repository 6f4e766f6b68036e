import { describeRefusal } from "./ask-answer.ts";
import { askSidecar, readJson } from "./ask-sidecar.ts";
import type { SidecarAccess } from "./find-sidecar.ts";

/** What came of ending tunnels. */
export interface Ended {
  readonly ended: number;
  /** Those that had ended by themselves. */
  readonly over: number;
  /** Why not all were asked to end. */
  readonly problem: string | undefined;
}

/** Requests to the sidecar at once. */
const AT_ONCE = 8;

/** Ends each of these tunnels and forwarded requests; stops at the first refusal. */
export async function endEach(access: SidecarAccess, ids: readonly string[], signal?: AbortSignal): Promise<Ended> {
  const result: { ended: number; over: number; problem: string | undefined } = {
    ended: 0,
    over: 0,
    problem: undefined,
  };
  const left = ids.values();
  const work = async (): Promise<void> => {
    for (const id of left) {
      if (result.problem !== undefined) return;
      const url = new URL(`/tunnels/${encodeURIComponent(id)}`, access.url);
      const answer = await askSidecar(access, url, "DELETE", signal);
      if (typeof answer === "string") result.problem ??= answer;
      else if (answer.status === 204) result.ended += 1;
      else if (answer.status === 404) result.over += 1;
      else result.problem ??= await describeRefusal(answer);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return result;
}

/** Ends all that the query of the address chooses. */
export async function endAll(access: SidecarAccess, url = access.url): Promise<Ended> {
  const answer = await askSidecar(access, url, "DELETE");
  if (typeof answer === "string") return { ended: 0, over: 0, problem: answer };
  if (answer.status !== 200) return { ended: 0, over: 0, problem: await describeRefusal(answer) };
  const { ended } = await readJson(answer);
  return { ended: typeof ended === "number" ? ended : 0, over: 0, problem: undefined };
}
