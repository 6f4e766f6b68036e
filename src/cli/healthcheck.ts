import { locateSidecar } from "../config/locate-sidecar.ts";
import { formatProblem } from "../config/problem.ts";
import type { SidecarPlan } from "../config/sidecar.ts";
import { createCommand } from "./command.ts";
import { configArgs, readSources } from "./config-args.ts";
import { exitCodes } from "./io.ts";

/** Where a proxy is asked whose configuration file cannot be read any more, as by the other commands. */
const DEFAULT_ADDRESS: SidecarPlan["at"] = { kind: "tcp", host: "127.0.0.1", port: 9080 };
/** Milliseconds for the answer: the proxy may ask its upstream first. */
const DEADLINE_MS = 5000;

/** `penstock healthcheck`: whether a running proxy is ready, as an exit code, for containers. */
export const healthcheck = createCommand({
  name: "healthcheck",
  description:
    "Exit with 0 when a running proxy is ready, and with 1 when it is not. It asks the sidecar of the configuration, the rest of which may be invalid.",
  args: { config: configArgs.config, sidecar: configArgs.sidecar },
  async run(input) {
    const { io } = input;
    const { at: known, problems } = await locateSidecar(readSources(input));
    const at = known ?? (problems.length > 0 ? DEFAULT_ADDRESS : undefined);
    if (at === undefined || (at.kind === "tcp" && at.port === 0)) {
      io.tell(
        at === undefined
          ? 'There is no sidecar to ask. Set "sidecar", or name its address with --sidecar.'
          : 'The system chooses the port of the sidecar: "sidecar.port" is 0. Name it with --sidecar HOST:PORT.',
      );
      return exitCodes.usage;
    }
    const answer = await askReadiness(at);
    if (typeof answer === "string") {
      for (const problem of problems) io.tell(formatProblem(problem));
      io.tell(answer);
      return problems.length > 0 ? exitCodes.configuration : exitCodes.failure;
    }
    await io.print(`${(await answer.text()).trimEnd()}\n`);
    return answer.status === 200 ? exitCodes.ok : exitCodes.failure;
  },
});

async function askReadiness(at: SidecarPlan["at"]): Promise<Response | string> {
  const origin = at.kind === "unix" ? "http://localhost" : `http://${reach(at.host)}:${at.port}`;
  try {
    return await fetch(`${origin}/readyz`, {
      signal: AbortSignal.timeout(DEADLINE_MS),
      redirect: "manual",
      // Ignores the proxy variables of the environment; an empty text does not.
      proxy: false,
      ...(at.kind === "unix" && { unix: at.path }),
    });
  } catch (error) {
    const reason =
      error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : String(error);
    return `Cannot reach the sidecar at ${at.kind === "unix" ? at.path : origin}: ${reason}.`;
  }
}

/** The host of a URL at which this machine reaches a listener on `host`. */
function reach(host: string): string {
  const one = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return one.includes(":") ? `[${one}]` : one;
}
