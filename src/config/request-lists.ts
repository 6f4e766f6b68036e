import { isToken } from "../protocol/http1/octets.ts";
import { canonicalisePath } from "../proxy/policy/request-condition.ts";
import { list, text } from "./fields.ts";

/** Methods that a rule matches. */
export const methodList = list(
  text('a method such as "GET"', findMethodFault),
  'a list of methods such as ["GET", "HEAD"]',
)
  .describe(
    "Methods of forwarded requests. Default: all. A tunnel, and a request to switch protocols (such as WebSocket), has requests inside that nobody sees: a rule with `methods` or `paths` that allows does not match it, and one that denies does.",
  )
  .optional();

/** Paths that a rule matches. */
export const pathList = list(text('a path such as "/v1/*"', findPathFault), "a list of paths")
  .describe(
    "Paths of forwarded requests, without the query; `*` stands for any characters, `/` too. Default: all. The case matters, except in a rule that denies. A path that servers read in different ways, such as one with `..`, `//` or `%2F`, is matched by no rule with `paths` that allows, and by every one that denies.",
  )
  .optional();

function findMethodFault(method: string): string | undefined {
  if (method === "CONNECT") return "opens a tunnel, which has no method for rules. Leave it out";
  return isToken(method) && method === method.toUpperCase() ? undefined : 'is no method. Write one such as "GET"';
}

function findPathFault(path: string): string | undefined {
  if (!/^[/*][\x21\x22\x24-\x3e\x40-\x7e]*$/.test(path))
    return 'is no path. Write one such as "/v1/*", without a query; characters past ASCII as %XX';
  return canonicalisePath(path) === path
    ? undefined
    : 'matches nothing: no path is compared in this spelling. Leave out "..", "//", encoded slashes, and write %XX in upper case and only where it is needed';
}
