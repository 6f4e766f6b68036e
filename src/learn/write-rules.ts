import type { LearnedRule, LearnedTarget } from "./learn-rules.ts";

/** The forms of a configuration. */
export const RULE_FORMS = ["yaml", "json", "toml", "ts"] as const;
export type RuleForm = (typeof RULE_FORMS)[number];

/** Names of routes that follow from `upstream`, or from `default: "environment"`. */
const DEFAULT_WAYS: readonly string[] = ["upstream", "environment"];

/**
 * Whether a request took the way that `upstream` sets. Beside that setting there can be no `default`,
 * so a last rule refuses what is not learned, and a rule without a way would not go directly.
 */
export function usesDefaultWay(rules: readonly LearnedRule[]): boolean {
  return rules.some(({ via }) => via.some((name) => DEFAULT_WAYS.includes(name)));
}

/** Writes `rules` and `default` as a configuration file has them. `remarks` become comments, where there can be some. */
export function writeRules(rules: readonly LearnedRule[], form: RuleForm, remarks: readonly string[]): string {
  const comments = (mark: string) => remarks.map((remark) => `${mark} ${writeComment(remark)}\n`).join("");
  const isLast = usesDefaultWay(rules);
  const written = rules.map((rule) => ({ rule, fields: describeRule(rule, isLast) }));
  switch (form) {
    case "json": {
      const all = [...written.map(({ fields }) => fields), ...(isLast ? [REST] : [])];
      return `${escapeOthers(JSON.stringify({ rules: all, ...(!isLast && { default: "deny" }) }, null, 2))}\n`;
    }
    case "yaml": {
      const end = isLast ? `  - name: ${quote(REST.name)}\n    deny: true\n` : 'default: "deny"\n';
      return `${comments("#")}rules:${rules.length === 0 ? " []" : ""}\n${written.map(writeYaml).join("")}${end}`;
    }
    case "toml": {
      const end = isLast ? `\n[[rules]]\nname = ${quote(REST.name)}\ndeny = true\n` : "";
      return `${comments("#")}${isLast ? "" : 'default = "deny"\n'}${written.map(writeToml).join("")}${end}`;
    }
    case "ts": {
      const end = isLast ? `    { name: ${quote(REST.name)}, deny: true },\n  ],\n` : '  ],\n  default: "deny",\n';
      return `import { defineConfig } from "penstock";\n\n${comments("//")}export default defineConfig({\n  rules: [\n${written.map(writeScript).join("")}${end}});\n`;
    }
    default:
      return form satisfies never;
  }
}

/** The last rule, where `default` cannot refuse what is not learned. */
const REST = { name: "not-learned", deny: true } as const;

interface Written {
  readonly rule: LearnedRule;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A rule as the configuration has it. `saysDirect`: without a way it would go another one. */
export function describeRule({ name, users, via, allowPrivate, targets }: LearnedRule, saysDirect: boolean) {
  const [way = "direct", ...more] = via;
  return {
    name,
    ...(users && { users }),
    to: targets.map(({ pattern }) => pattern),
    ...(allowPrivate ? { allowPrivate } : { allow: true }),
    ...((via.length > 0 || saysDirect) && { via: more.length === 0 ? way : via }),
  };
}

/** How many requests, of how many hosts. */
export function explainTarget({ requests, hosts, isGeneralised, reportedBy }: LearnedTarget): string {
  const count = `${requests} ${requests === 1 ? "request" : "requests"}`;
  const from = isGeneralised ? `generalised from ${hosts.length} names, ` : "";
  return `${from}${count}${reportedBy.length === 0 ? "" : `, would be refused by ${reportedBy.join(", ")}`}`;
}

function writeYaml({ rule, fields: described }: Written): string {
  const fields = Object.entries(described).map(([name, value]) =>
    name === "to"
      ? `to:\n${rule.targets.map((target) => `      - ${quote(target.pattern)} # ${writeComment(explainTarget(target))}\n`).join("")}`
      : `${name}: ${writeValue(value)}\n`,
  );
  return `  - ${fields.join("    ")}`;
}

function writeToml({ rule, fields: described }: Written): string {
  const fields = Object.entries(described).map(([name, value]) =>
    name === "to" ? `to = [\n${listTargets(rule, "  ", "#")}]\n` : `${name} = ${writeValue(value)}\n`,
  );
  return `\n[[rules]]\n${fields.join("")}`;
}

function writeScript({ rule, fields: described }: Written): string {
  const fields = Object.entries(described).map(([name, value]) =>
    name === "to"
      ? `      to: [\n${listTargets(rule, "        ", "//")}      ],\n`
      : `      ${name}: ${writeValue(value)},\n`,
  );
  return `    {\n${fields.join("")}    },\n`;
}

function listTargets({ targets }: LearnedRule, indent: string, mark: string): string {
  return targets
    .map((target) => `${indent}${quote(target.pattern)}, ${mark} ${writeComment(explainTarget(target))}\n`)
    .join("");
}

function writeValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(writeValue).join(", ")}]`;
  return typeof value === "string" ? quote(value) : String(value);
}

/** A text in quotes that means the same in JSON, YAML, TOML and JavaScript: ASCII, or one character of its plane as it is. */
function quote(text: string): string {
  return escapeOthers(JSON.stringify(text.toWellFormed()));
}

/** Escapes what JSON leaves as it is and others do not take: DEL, C1, line ends of Unicode, marks that change the direction. */
function escapeOthers(json: string): string {
  return json.replaceAll(
    /[\u007f-\u00a0\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff0-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** One line of printable ASCII, whatever was in a log. */
function writeComment(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 300);
}
