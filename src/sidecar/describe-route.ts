import type { MiddlewareHandler } from "hono";
import { describeRoute, resolver } from "hono-openapi";
import * as z from "zod";
import type { Permission } from "./guard.ts";

/** What a route says of itself in `/openapi.json`. */
export interface RouteDescription {
  readonly summary: string;
  /** What the token must allow; absent where none is needed. */
  readonly needs?: Permission | "any";
  /** The answer in JSON, or the media type of another one; absent for 204. */
  readonly answer?: z.ZodType | string;
  /** Other media types of the answer, which the request can ask for; with the form of one in JSON. */
  readonly also?: Readonly<Record<string, z.ZodType | undefined>>;
  /** The body of the request, in JSON. */
  readonly body?: z.ZodType;
  /** The status of the answer, when it is neither 200 nor 204. */
  readonly status?: number;
  /** Answers in JSON with other statuses. */
  readonly others?: Readonly<Record<number, z.ZodType>>;
  /** Statuses of problems beside those that any guarded route has. */
  readonly problems?: readonly number[];
}

/** RFC 9457. */
const problem = z
  .looseObject({ type: z.string(), title: z.string(), status: z.int(), detail: z.string() })
  .describe("What is wrong, in a sentence (RFC 9457).");

/** A value of JSON whose form is not described. */
export const anyValue: z.ZodUnknown = z.unknown();

/** Describes a route. It comes before the other handlers of the route, and does nothing at a request. */
export function describe(route: RouteDescription): MiddlewareHandler {
  const { summary, needs, answer, status = answer === undefined ? 204 : 200, others = {}, problems = [] } = route;
  const { also = {}, body } = route;
  const statuses = new Set([400, ...(needs === undefined ? [] : [401, 403, 429]), ...problems]);
  return describeRoute({
    summary,
    ...(body !== undefined && { requestBody: { required: true, content: describeContent("application/json", body) } }),
    ...(needs !== undefined && { security: [{ token: needs === "any" ? [] : [needs] }] }),
    responses: {
      [status]: answer === undefined ? { description: "Done." } : describeAnswer(answer, also),
      ...Object.fromEntries(Object.entries(others).map(([other, schema]) => [other, describeAnswer(schema)])),
      ...Object.fromEntries([...statuses].map((refusal) => [refusal, PROBLEM])),
    },
  });
}

function describeAnswer(answer: z.ZodType | string, also: NonNullable<RouteDescription["also"]> = {}) {
  const content =
    typeof answer === "string" ? describeContent(answer, undefined) : describeContent("application/json", answer);
  const others = Object.entries(also).map(([type, form]) => describeContent(type, form));
  return { description: "The answer.", content: Object.assign({}, content, ...others) as typeof content };
}

/** What has a media type: of a form, or a text. */
function describeContent(type: string, form: z.ZodType | undefined) {
  return { [type]: { schema: form === undefined ? { type: "string" as const } : resolver(form) } };
}

const PROBLEM = { description: "A problem.", content: { "application/problem+json": { schema: resolver(problem) } } };
