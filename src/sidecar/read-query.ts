import type { MiddlewareHandler } from "hono";
import { resolver, uniqueSymbol } from "hono-openapi";
import * as z from "zod";
import { toAsciiHost } from "../address/host.ts";
import { parseIp } from "../address/ip.ts";
import type { CaptureFilter } from "../proxy/record/capture-filter.ts";
import type { FlowFilter } from "../proxy/record/live-table.ts";
import { answerProblem } from "./problem.ts";

/** What is wrong with a query: an unknown parameter, one that is repeated, one without a value. */
function findQueryFault(query: URLSearchParams, known: readonly string[]): string | undefined {
  for (const name of query.keys()) {
    if (!known.includes(name)) {
      const there = known.length === 0 ? "This path has none." : `Known are ${known.join(", ")}.`;
      return `There is no parameter ${JSON.stringify(name)}. ${there}`;
    }
    if (query.getAll(name).length > 1) return `Found ${name} more than once.`;
    if (query.get(name) === "") return `Found an empty ${name}. Leave it out, or give a value.`;
  }
  return undefined;
}

/** Refuses what is wrong with a query: a misspelled filter must not be ignored. `/openapi.json` has the parameters from it. */
export function takeQuery(schema: z.ZodObject = z.object({})): MiddlewareHandler {
  const known = Object.keys(schema.shape);
  const take: MiddlewareHandler = async (context, next) => {
    const query = new URL(context.req.url).searchParams;
    const fault = findQueryFault(query, known) ?? schema.safeParse(Object.fromEntries(query)).error?.issues[0]?.message;
    return fault === undefined ? next() : answerProblem(400, fault);
  };
  return Object.assign(take, { [uniqueSymbol]: { target: "query", ...resolver(schema) } });
}

const parameter = (description: string) => z.string().describe(description).optional();

/** Which tunnels and requests are meant. */
export const flowQuery = z.object({
  id: parameter("Id of one."),
  user: parameter("Name of the user."),
  client: parameter("IP address of the client."),
  host: parameter("Host of the target: `example.org`, `example.org:443`, or `*.example.org` for every name below."),
  rule: parameter("Name of the rule that allowed it."),
  route: parameter("Route that it takes."),
});

export const FLOW_PARAMETERS: readonly string[] = Object.keys(flowQuery.shape);

/** Which tunnels and requests a query means, or what is wrong with it. */
export function readFlowFilter(query: URLSearchParams): FlowFilter | string {
  const filter = readCaptureFilter(query);
  if (typeof filter === "string") return filter;
  const client = query.get("client");
  const ip = client === null ? undefined : parseIp(client);
  if (client !== null && ip === undefined) return `${JSON.stringify(client)} is no IP address. Write 192.0.2.1.`;
  const rule = query.get("rule");
  const route = query.get("route");
  return {
    ...filter,
    ...(ip && { client: ip.text }),
    ...(rule !== null && { rule }),
    ...(route !== null && { route }),
  };
}

/** `host`, `user` and `id` of a query, or what is wrong with them. */
export function readCaptureFilter(query: URLSearchParams): CaptureFilter | string {
  const host = query.get("host");
  const user = query.get("user");
  const id = query.get("id");
  const wanted = host === null ? {} : readHost(host);
  if (typeof wanted === "string") return wanted;
  return { ...wanted, ...(user !== null && { user }), ...(id !== null && { id }) };
}

/** `host`, `host:port`, or `*.host` for every name below it. */
function readHost(text: string): CaptureFilter | string {
  const below = text.startsWith("*.");
  const rest = below ? text.slice(2) : text;
  const whole = toAsciiHost(rest);
  if (whole.ok) return { host: whole.host, ...(below && { below }) };
  const [, name = "", port = ""] = /^(.*):([0-9]{1,5})$/.exec(rest) ?? [];
  const named = toAsciiHost(name);
  if (!named.ok || Number(port) > 65_535)
    return `${JSON.stringify(text)} is no host. Write example.org, example.org:443 or *.example.org.`;
  return { host: named.host, port: Number(port), ...(below && { below }) };
}

/** Whom a choice is for. `client` is an address in its canonical text. */
export interface ChoiceQuestion {
  readonly client: string;
  /** As the client sends the name, parameters included. */
  readonly user: string | undefined;
  /** Host of the target. */
  readonly host: string;
}

/** Whom a choice of a member is for, or what is wrong with the query. */
export function readChoiceQuery(query: URLSearchParams): ChoiceQuestion | string {
  const host = query.get("host");
  if (host === null) return "Missing host: the target's, without its port.";
  const target = toAsciiHost(host);
  if (!target.ok) return `${JSON.stringify(host)} is no host. Write example.org.`;
  const client = query.get("client") ?? "127.0.0.1";
  const ip = parseIp(client);
  if (ip === undefined) return `${JSON.stringify(client)} is no IP address. Write 192.0.2.1.`;
  return { client: ip.text, user: query.get("user") ?? undefined, host: target.host.text };
}
