import type { SidecarPlan } from "../config/sidecar.ts";
import { createCommand } from "./command.ts";
import { configArgs, loadFromFlags, tellProblems } from "./config-args.ts";
import { exitCodes } from "./io.ts";

/** Milliseconds for the answer: the proxy may ask its upstream first. */
const DEADLINE_MS = 5000;

/** `penstock healthcheck`: whether a running proxy is ready, as an exit code, for containers. */
export const healthcheck = createCommand({
  name: "healthcheck",
  description:
    "Exit with 0 when a running proxy is ready, and with 1 when it is not. It asks the sidecar of the configuration.",
  args: { config: configArgs.config, sidecar: configArgs.sidecar },
  async run(input) {
    const { io } = input;
    const loaded = await loadFromFlags(input);
    if (!loaded.ok) {
      tellProblems(loaded, io);
      return exitCodes.configuration;
    }
    const at = loaded.value.compiled.sidecar?.at;
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
      io.tell(answer);
      return exitCodes.failure;
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
      // Ignores the proxy variables of the environment.
      proxy: "",
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
