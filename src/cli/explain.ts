import { describeEndpointError, type Endpoint, parseAuthority } from "../address/endpoint.ts";
import { toAsciiHost } from "../address/host.ts";
import { parseIp } from "../address/ip.ts";
import { quoteSubject } from "../config/problem.ts";
import { explainUrl } from "../config/target-pattern.ts";
import { createSystemResolver } from "../net/dns/system-resolver.ts";
import { createCommand } from "./command.ts";
import { configArgs, loadFromFlags, tellProblems } from "./config-args.ts";
import { explainTarget } from "./explain-target.ts";
import { exitCodes } from "./io.ts";

/** `penstock explain TARGET`: what the proxy would do with a connection, and why. */
export const explain = createCommand({
  name: "explain",
  description:
    "Show what the proxy would do with a target: which rule, why, which way, which addresses. Nothing is dialled.",
  args: {
    target: {
      type: "positional",
      description: "The target, as host:port; without a port, 443.",
    },
    user: {
      type: "string",
      valueHint: "USER",
      description: "User that asks, as the client sends the name, parameters included. Default: nobody.",
    },
    as: {
      type: "string",
      valueHint: "USER",
      description: "The same as --user.",
    },
    from: {
      type: "string",
      valueHint: "IP",
      description: "Client address that asks. Default: 127.0.0.1.",
    },
    config: configArgs.config,
  },
  async run(input) {
    const { value, io } = input;
    const target = readTarget(value("target") ?? "");
    const client = parseIp(value("from") ?? "127.0.0.1");
    if (typeof target === "string") io.tell(target);
    if (!client) io.tell(`${quoteSubject(value("from"))} is not an IP address. Write one such as 192.0.2.1.`);
    if (typeof target === "string" || !client) return exitCodes.usage;
    // Who asks is no user of the configuration.
    const loaded = await loadFromFlags({ ...input, values: () => [] });
    if (!loaded.ok) {
      tellProblems(loaded, io);
      return exitCodes.configuration;
    }
    const lines = await explainTarget(loaded.value.compiled, createSystemResolver(), {
      client,
      user: value("user") ?? value("as"),
      target,
    });
    await io.print(`${lines.join("\n")}\n`);
    return exitCodes.ok;
  },
});

/** Port of a target that is given without one: what nearly every tunnel is for. */
const DEFAULT_PORT = 443;

/** The endpoint that a person wrote, U-labels and bare IPv6 included; or what is wrong with it. */
function readTarget(text: string): Endpoint | string {
  const bare = toAsciiHost(text);
  if (bare.ok) return { host: bare.host, port: DEFAULT_PORT };
  const parsed = parseAuthority(toAsciiAuthority(text));
  if (parsed.ok) return parsed.endpoint;
  const url = explainUrl(text);
  return `${quoteSubject(text)} ${url ?? `is not a target: ${describeEndpointError(parsed.code)}`}.`;
}

/** `text` with the U-labels of its host encoded. */
function toAsciiAuthority(text: string): string {
  const colon = text.lastIndexOf(":");
  const host = toAsciiHost(text.slice(0, Math.max(0, colon)));
  return host.ok && host.host.kind === "name" ? `${host.host.text}${text.slice(colon)}` : text;
}
