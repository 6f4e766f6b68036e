import type { LearnedRule, LearnedTarget } from "./learn-rules.ts";

/** The forms of a configuration. */
export const RULE_FORMS = ["yaml", "json", "toml", "ts"] as const;
export type RuleForm = (typeof RULE_FORMS)[number];

/** Writes `rules` and `default` as a configuration file has them. `remarks` become comments, where there can be some. */
export function writeRules(rules: readonly LearnedRule[], form: RuleForm, remarks: readonly string[]): string {
  const comments = (mark: string) => remarks.map((remark) => `${mark} ${writeComment(remark)}\n`).join("");
  switch (form) {
    case "json":
      return `${escapeOthers(JSON.stringify({ rules: rules.map(describeRule), default: "deny" }, null, 2))}\n`;
    case "yaml":
      return `${comments("#")}rules:${rules.length === 0 ? " []" : ""}\n${rules.map(writeYaml).join("")}default: "deny"\n`;
    case "toml":
      return `${comments("#")}default = "deny"\n${rules.map(writeToml).join("")}`;
    case "ts":
      return `import { defineConfig } from "penstock";\n\n${comments("//")}export default defineConfig({\n  rules: [\n${rules.map(writeScript).join("")}  ],\n  default: "deny",\n});\n`;
    default:
      return form satisfies never;
  }
}

/** A rule as the configuration has it. */
export function describeRule({ name, users, via, allowPrivate, targets }: LearnedRule) {
  return {
    name,
    ...(users && { users }),
    to: targets.map(({ pattern }) => pattern),
    ...(allowPrivate ? { allowPrivate } : { allow: true }),
    ...(via.length > 0 && { via: via.length === 1 ? via[0] : via }),
  };
}

/** How many requests, of how many hosts. */
export function explainTarget({ requests, hosts, isGeneralised, reportedBy }: LearnedTarget): string {
  const count = `${requests} ${requests === 1 ? "request" : "requests"}`;
  const from = isGeneralised ? `generalised from ${hosts.length} names, ` : "";
  return `${from}${count}${reportedBy.length === 0 ? "" : `, would be refused by ${reportedBy.join(", ")}`}`;
}

function writeYaml(rule: LearnedRule): string {
  const fields = Object.entries(describeRule(rule)).map(([name, value]) =>
    name === "to"
      ? `to:\n${rule.targets.map((target) => `      - ${quote(target.pattern)} # ${writeComment(explainTarget(target))}\n`).join("")}`
      : `${name}: ${writeValue(value)}\n`,
  );
  return `  - ${fields.join("    ")}`;
}

function writeToml(rule: LearnedRule): string {
  const fields = Object.entries(describeRule(rule)).map(([name, value]) =>
    name === "to" ? `to = [\n${listTargets(rule, "  ", "#")}]\n` : `${name} = ${writeValue(value)}\n`,
  );
  return `\n[[rules]]\n${fields.join("")}`;
}

function writeScript(rule: LearnedRule): string {
  const fields = Object.entries(describeRule(rule)).map(([name, value]) =>
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
