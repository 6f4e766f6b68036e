import { describe, expect, test } from "bun:test";

import { createCommand } from "../../../src/cli/command.ts";
import { readInvocation } from "../../../src/cli/strict.ts";

const run = () => 0;
const commands = {
  serve: createCommand({
    name: "serve",
    description: "",
    args: { config: { type: "string", valueHint: "FILE" }, listen: { type: "string" } },
    lists: ["listen"],
    run,
  }),
  explain: createCommand({
    name: "explain",
    description: "",
    args: { target: { type: "positional" }, as: { type: "string" } },
    run,
  }),
  passwd: createCommand({
    name: "passwd",
    description: "",
    args: { name: { type: "positional", required: false } },
    run,
  }),
  cert: createCommand({
    name: "cert",
    description: "",
    args: { days: { type: "string" }, name: { type: "positional", required: true } },
    lists: ["name"],
    run,
  }),
  schema: createCommand({ name: "schema", description: "", args: { markdown: { type: "boolean" } }, run }),
  version: createCommand({ name: "version", description: "", run }),
};

function read(...argv: string[]) {
  const invocation = readInvocation(argv, commands);
  switch (invocation.kind) {
    case "help":
      return `help ${invocation.command?.name ?? "of all"}`;
    case "wrong":
      return invocation.message;
    case "run":
      return { [invocation.command.name]: Object.fromEntries(invocation.values) };
  }
}

describe("readInvocation()", () => {
  test.each([
    [[], { serve: {} }],
    [["serve"], { serve: {} }],
    [["--config", "a"], { serve: { config: ["a"] } }],
    [["serve", "--config=a=b"], { serve: { config: ["a=b"] } }],
    [["serve", "--config=-a"], { serve: { config: ["-a"] } }],
    [["--listen", "1", "--listen=2"], { serve: { listen: ["1", "2"] } }],
    [["explain", "a:1", "--as", "x"], { explain: { as: ["x"], target: ["a:1"] } }],
    [["explain", "--", "--odd"], { explain: { target: ["--odd"] } }],
    [["passwd"], { passwd: {} }],
    [["passwd", "alice"], { passwd: { name: ["alice"] } }],
    [["cert", "a", "b"], { cert: { name: ["a", "b"] } }],
    [["cert", "a", "--days", "1", "b", "--", "-c"], { cert: { days: ["1"], name: ["a", "b", "-c"] } }],
    [["schema", "--markdown"], { schema: { markdown: ["true"] } }],
    [["--version"], { version: {} }],
    [["-v"], { version: {} }],
  ])("runs %j", (argv, wanted) => {
    expect(read(...argv)).toEqual(wanted);
  });

  test.each([
    [["--help"], "help of all"],
    [["-h"], "help of all"],
    [["help"], "help of all"],
    [["help", "serve"], "help serve"],
    [["serve", "--help"], "help serve"],
    [["explain", "-h"], "help explain"],
    [["--config", "a", "--help"], "help serve"],
  ])("helps with %j", (argv, wanted) => {
    expect(read(...argv)).toBe(wanted);
  });

  test.each([
    [["constructor"], 'Unknown command "constructor".'],
    [["__proto__"], 'Unknown command "__proto__".'],
    [["toString"], 'Unknown command "toString".'],
    [["help", "constructor"], 'Unknown command "constructor".'],
    [["srve"], 'Unknown command "srve". Did you mean "serve"?'],
    [[""], 'Unknown command "".'],
    [["--prot", "9090"], 'Unknown flag "--prot".'],
    [["--confg=a"], 'Unknown flag "--confg". Did you mean "--config"?'],
    [["serve", "-c", "a"], 'Unknown flag "-c". Did you mean "--config"?'],
    [["serve", "--constructor"], 'Unknown flag "--constructor".'],
    [["serve", "--no-config"], 'Unknown flag "--no-config". Did you mean "--config"?'],
    [["serve", "--no-help"], 'Unknown flag "--no-help". Did you mean "--help"?'],
    [["serve", "--CONFIG", "a"], 'Unknown flag "--CONFIG". Did you mean "--config"?'],
    [["serve", "--config"], "--config needs a value, as in --config=FILE."],
    [["serve", "--config="], "--config needs a value, as in --config=FILE."],
    [["serve", "--config", ""], "--config needs a value, as in --config=FILE."],
    [["serve", "--config", "--listen", "1"], "--config needs a value, as in --config=FILE."],
    [["serve", "--config", "a", "--config", "b"], "Found --config twice. Give it once."],
    [["serve", "stray"], 'Found an argument too many: "serve" takes none.'],
    [["serve", "--config", "a", "b"], 'Found an argument too many: "serve" takes none.'],
    [["explain"], "Missing TARGET."],
    [["cert"], "Missing NAME."],
    [["cert", "a", ""], "Found an empty argument."],
    [["explain", ""], "Found an empty argument."],
    [["explain", "a", "b"], 'Found an argument too many: "explain" takes only TARGET.'],
    [["schema", "--markdown=yes"], "--markdown takes no value."],
    [["serve", "-config", "a"], 'Unknown flag "-config". Did you mean "--config"?'],
    [["serve", "-phunter2"], 'Unknown flag "-p".'],
    [["serve", "--hunter2"], "Unknown flag."],
    [["http://ann:hunter2@h:1"], "Unknown command. Did you mean --upstream URL?"],
    [["proxy.config.ts"], 'Unknown command "proxy.config.ts". Did you mean --config FILE?'],
    [["schema", "--help=1"], "--help takes no value."],
  ])("refuses %j", (argv, message) => {
    expect(read(...argv)).toBe(message);
  });
});
