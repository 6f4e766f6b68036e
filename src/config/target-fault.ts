import { parseTargetPattern } from "./target-pattern.ts";

/** Why a text is no target of a rule, as the rest of a sentence that begins with it; undefined when it is one. */
export function findTargetFault(text: string): string | undefined {
  const url = explainUrl(text);
  if (url !== undefined) return url;
  const parsed = parseTargetPattern(text);
  if (parsed.ok) return undefined;
  const joined = /^\*([a-z\d][\w.-]*)((?::[\d,*-]+)?)$/i.exec(text);
  if (joined === null) return parsed.reason;
  const [, name = "", ports = ""] = joined;
  return `has a star that stands for part of a name. Write "*.${name}${ports}" for the names below it, "${name}${ports}" for itself, or both`;
}

/** What to write instead of a URL, where a host and a port are wanted; undefined when it is no URL. */
export function explainUrl(text: string): string | undefined {
  const match = /^([a-z][a-z\d+.-]*):\/\/([\w.*-]+|\[[\da-f:.]+\])?(?::(\d{1,5}))?(\/[^@]*)?$/i.exec(text);
  if (match === null)
    return /^[a-z][a-z\d+.-]*:\/\//i.test(text)
      ? 'is a URL. Write a host and a port, such as "example.org:443"'
      : undefined;
  const [, scheme = "", host, port = usualPorts[scheme.toLowerCase()]] = match;
  if (host === undefined) return 'is a URL. Write a host and a port, such as "example.org:443"';
  return `is a URL. Write "${host}${port === undefined ? "" : `:${port}`}"`;
}

const usualPorts: Readonly<Record<string, string>> = {
  http: "80",
  ws: "80",
  https: "443",
  wss: "443",
  ssh: "22",
  ftp: "21",
};
