import { nameError } from "../error-code.ts";
import { formatProblem } from "../config/problem.ts";
import { createCommand } from "./command.ts";
import { configArgs } from "./config-args.ts";
import { findSidecarPlace, sidecarFlag, type SidecarPlace } from "./find-sidecar.ts";
import { endWith, exitCodes } from "./io.ts";

/** Milliseconds for the answer: the proxy may ask its upstream first. */
const DEADLINE_MS = 5000;

/** `penstock healthcheck`: whether a running proxy is ready, as an exit code, for containers. */
export const healthcheck = createCommand({
  name: "healthcheck",
  description:
    "Exit with 0 when a running proxy is ready, and with 1 when it is not. It asks the sidecar of the configuration, the rest of which may be invalid.",
  examples: [["penstock healthcheck --quiet", "Ask in a container whether the proxy is ready."]],
  args: {
    json: { type: "boolean", description: "Print JSON, as the sidecar has it. That is also the default." },
    config: configArgs.config,
    ...sidecarFlag,
  },
  async run(input) {
    const { io } = input;
    const place = await findSidecarPlace(input, "/readyz");
    if (typeof place === "string") return endWith(io, place, exitCodes.usage);
    const { problems, isNamed } = place;
    if (!isNamed && problems.length === 0)
      return endWith(
        io,
        'There is no sidecar to ask. Set "sidecar", or name its address with --sidecar.',
        exitCodes.usage,
      );
    const answer = await askReadiness(place);
    if (typeof answer === "string") {
      for (const problem of problems) io.tell(formatProblem(problem));
      io.tell(answer);
      return problems.length > 0 ? exitCodes.configuration : exitCodes.failure;
    }
    await io.print(`${(await answer.text()).trimEnd()}\n`);
    return answer.status === 200 ? exitCodes.ok : exitCodes.failure;
  },
});

async function askReadiness({ url, unix, tls }: SidecarPlace): Promise<Response | string> {
  try {
    return await fetch(url, {
      signal: AbortSignal.timeout(DEADLINE_MS),
      redirect: "manual",
      // Ignores the proxy variables of the environment; an empty text does not.
      proxy: false,
      ...(unix !== undefined && { unix }),
      ...(tls && { tls }),
    });
  } catch (error) {
    return `Cannot reach the sidecar at ${unix ?? url.origin}: ${nameError(error)}.`;
  }
}
