import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

/** A file that must not pass, and the rule that must say so. */
interface Breach {
  readonly what: string;
  readonly file: string;
  readonly text: string;
  readonly rule: string;
}

const root = resolve(import.meta.dir, "../../..");

/** `source` imported for its side effects is as forbidden as anything of it. */
function importing(file: string, source: string): Breach {
  return { what: `${file} imports ${source}`, file, text: `import "${source}";\n`, rule: "no-restricted-imports" };
}

function using(file: string, expression: string, rule = "no-restricted-properties"): Breach {
  return { what: `${file} uses ${expression}`, file, text: `export const found: unknown = ${expression};\n`, rule };
}

const breaches: readonly Breach[] = [
  // The page runs in a browser.
  ...["bun:ffi", "node:fs", "hono", "../../../config/compile.ts", "../../../net/http/serve-http.ts"].map((source) =>
    importing("src/sidecar/page/ui/planted.ts", source),
  ),
  using("src/sidecar/page/ui/planted.ts", 'Bun.file("x")', "no-restricted-globals"),
  using("src/sidecar/page/ui/planted.ts", 'Buffer.from("x")', "no-restricted-globals"),
  // Orders of certificates.
  ...[
    "node:https",
    "node:tls",
    "../config/compile.ts",
    "../sidecar/serve.ts",
    "../proxy/runtime.ts",
    "../gate/gate.ts",
  ].map((source) => importing("src/acme/planted.ts", source)),
  // The data plane.
  ...["zod", "zod/mini", "hono", "hono/bun", "citty", "node:fs", "node:fs/promises", "fs", "fs/promises"].map(
    (source) => importing("src/proxy/dial/planted.ts", source),
  ),
  importing("src/proxy/planted.ts", "../config/compile.ts"),
  importing("src/proxy/dial/planted.ts", "../../config/compile.ts"),
  importing("src/proxy/dial/planted.ts", "../../sidecar/serve.ts"),
  importing("src/proxy/dial/planted.ts", "../../cli/serve.ts"),
  importing("src/proxy/tunnel/planted.ts", "../../protocol/tls/explain/open-session.ts"),
  ...["epoll/reactor.ts", "splice/lane-pool.ts", "libc/spare-descriptors.ts"].flatMap((file) => [
    importing("src/proxy/planted.ts", `../net/${file}`),
    importing("src/proxy/tunnel/planted.ts", `../../net/${file}`),
  ]),
  importing("src/proxy/planted.ts", "../daemon.ts"),
  importing("src/proxy/planted.ts", "../gate/gate.ts"),
  importing("src/proxy/accept/planted.ts", "../../gate/listeners.ts"),
  importing("src/proxy/dial/planted.ts", "node:child_process"),
  using("src/proxy/dial/planted.ts", "process.env"),
  using("src/proxy/dial/planted.ts", "Bun.env"),
  using("src/proxy/dial/planted.ts", 'Bun.file("x")'),
  {
    what: "src/proxy takes the environment apart",
    file: "src/proxy/dial/planted.ts",
    text: "const { env } = process;\nexport const found = env;\n",
    rule: "no-restricted-properties",
  },
  {
    what: "src/proxy passes configuration on",
    file: "src/proxy/dial/planted.ts",
    text: 'export * from "../../config/compile.ts";\n',
    rule: "no-restricted-imports",
  },
  {
    what: "src/proxy imports a type of the configuration",
    file: "src/proxy/dial/planted.ts",
    text: 'import type { Config } from "../../config/schema.ts";\nexport type Found = Config;\n',
    rule: "no-restricted-imports",
  },
  // A gate.
  ...[
    "../config/compile.ts",
    "../sidecar/serve.ts",
    "../cli/serve.ts",
    "../daemon.ts",
    "../net/epoll/reactor.ts",
    "../net/splice/lane-pool.ts",
    "../net/libc/libc.ts",
    "node:fs",
    "node:net",
    "bun:ffi",
    "zod",
    "hono",
  ].map((source) => importing("src/gate/planted.ts", source)),
  ...["Bun.listen", "Bun.connect", "process.env", "process.exit"].map((found) => using("src/gate/planted.ts", found)),
  // PAC files.
  ...["../config/compile.ts", "../sidecar/serve.ts", "../gate/gate.ts", "../daemon.ts", "node:fs", "node:http"].map(
    (source) => importing("src/pac/planted.ts", source),
  ),
  importing("src/gate/planted.ts", "../pac/pac-files.ts"),
  importing("src/proxy/dial/planted.ts", "../../pac/pac-files.ts"),
  importing("src/proxy/exchange/planted.ts", "../../pac/pac-files.ts"),
  // The stages of a request.
  ...["auth", "decide", "hook", "pac", "policy", "resolve", "route", "upstream"].flatMap((folder) =>
    [
      "dial/dial.ts",
      "tunnel/first-bytes-tap.ts",
      "record/recorder.ts",
      "request.ts",
      "runtime.ts",
      "../gate/gate.ts",
    ].map((source) => importing(`src/proxy/${folder}/planted.ts`, `../${source}`)),
  ),
  ...[
    "exchange/exchange.ts",
    "tunnel/first-bytes-tap.ts",
    "decide/authorize.ts",
    "auth/identify.ts",
    "request.ts",
    "../gate/gate.ts",
  ].map((source) => importing("src/proxy/dial/planted.ts", `../${source}`)),
  ...["zod", "../../config/compile.ts", "node:fs"].flatMap((source) => [
    importing("src/proxy/route/planted.ts", source),
    importing("src/proxy/decide/planted.ts", source),
  ]),
  // Pure folders.
  ...[
    "../../net/conn.ts",
    "../../proxy/request.ts",
    "../../config/compile.ts",
    "../../sidecar/serve.ts",
    "../../cli/serve.ts",
  ].map((source) => importing("src/protocol/http1/planted.ts", source)),
  ...["node:fs", "node:net", "node:dns/promises", "bun", "bun:ffi", "zod"].map((source) =>
    importing("src/protocol/http1/planted.ts", source),
  ),
  importing("src/protocol/planted.ts", "../proxy/request.ts"),
  importing("src/address/planted.ts", "../protocol/parsed.ts"),
  importing("src/address/planted.ts", "../proxy/failure.ts"),
  importing("src/address/planted.ts", "../net/conn.ts"),
  importing("src/address/planted.ts", "node:dns"),
  // Clocks.
  ...["src/protocol/http1", "src/address", "src/proxy/policy", "src/proxy/route"].flatMap((folder) => [
    using(`${folder}/planted.ts`, "Date.now()"),
    using(`${folder}/planted.ts`, "performance.now()", "no-restricted-globals"),
    using(`${folder}/planted.ts`, "setTimeout(() => {}, 1)", "no-restricted-globals"),
  ]),
  using("src/config/compile-planted.ts", "Date.now()"),
  using("src/config/compile-planted.ts", "performance.now()", "no-restricted-globals"),
  using("src/config/compile-planted.ts", "setTimeout(() => {}, 1)", "no-restricted-globals"),
  // Sockets and native code.
  ...["src/proxy/dial", "src/sidecar", "src/config", "src/cli", "src/proxy/route"].flatMap((folder) => [
    using(`${folder}/planted.ts`, "Bun.listen"),
    using(`${folder}/planted.ts`, "Bun.connect"),
  ]),
  ...["src/proxy/dial", "src/sidecar", "src/config", "src/cli"].flatMap((folder) => [
    importing(`${folder}/planted.ts`, "bun:ffi"),
    importing(`${folder}/planted.ts`, "node:net"),
    importing(`${folder}/planted.ts`, "node:tls"),
  ]),
  ...[
    "../proxy/request.ts",
    "../gate/gate.ts",
    "../config/compile.ts",
    "../sidecar/serve.ts",
    "../cli/serve.ts",
    "hono",
  ].map((source) => importing("src/net/planted.ts", source)),
  importing("src/protocol/planted.ts", "../gate/gate.ts"),
  importing("src/address/planted.ts", "../gate/gate.ts"),
  importing("src/sidecar/planted.ts", "../gate/gate.ts"),
  importing("src/config/planted.ts", "../gate/gate.ts"),
  importing("src/sidecar/planted.ts", "../config/compile.ts"),
  importing("src/sidecar/planted.ts", "../daemon.ts"),
  importing("src/config/planted.ts", "../sidecar/serve.ts"),
  importing("src/config/planted.ts", "../cli/serve.ts"),
  importing("src/config/planted.ts", "../net/listen.ts"),
  // The process.
  ...[
    "src/planted.ts",
    "src/cli/planted.ts",
    "src/net/planted.ts",
    "src/proxy/planted.ts",
    "src/config/planted.ts",
  ].map((file) => using(file, "process.exit")),
  ...["src/planted.ts", "src/net/planted.ts", "src/sidecar/planted.ts"].map((file) => using(file, "process.env")),
  // Promises and types.
  {
    what: "a promise is left floating",
    file: "src/proxy/planted.ts",
    text: "async function go(): Promise<void> {}\nexport function start(): void {\n  go();\n}\n",
    rule: "no-floating-promises",
  },
  {
    what: "a promise stands for a condition",
    file: "src/proxy/planted.ts",
    text: "export function ask(answer: Promise<boolean>): number {\n  return answer ? 1 : 2;\n}\n",
    rule: "no-misused-promises",
  },
  {
    what: "a switch forgets a case",
    file: "src/proxy/planted.ts",
    text: 'export function name(kind: "a" | "b"): void {\n  switch (kind) {\n    case "a":\n      break;\n  }\n}\n',
    rule: "switch-exhaustiveness-check",
  },
  { what: "a value is any", file: "src/planted.ts", text: "export const found: any = 1;\n", rule: "no-explicit-any" },
  {
    what: "the compiler is told to look away",
    file: "src/planted.ts",
    text: "// @ts-ignore because\nexport const found: number = 1;\n",
    rule: "ban-ts-comment",
  },
  // The rest of the house.
  {
    what: "work is left for later",
    file: "src/planted.ts",
    text: "// TODO: more\nexport const found = 1;\n",
    rule: "no-warning-comments",
  },
  { what: "a file speaks to the console", file: "src/planted.ts", text: "console.log(1);\n", rule: "no-console" },
  {
    what: "a file has 301 lines of code",
    file: "src/proxy/planted.ts",
    text: "export const list = [\n" + "  1,\n".repeat(299) + "];\n",
    rule: "max-lines",
  },
  {
    what: "two files import each other",
    file: "src/proxy/planted.ts",
    text: 'import { other } from "./planted-other.ts";\nexport const found: unknown = () => other;\n',
    rule: "no-cycle",
  },
  {
    what: "two files import types of each other",
    file: "src/gate/planted.ts",
    text: 'import type { Other } from "./planted-other.ts";\nexport type Found = Other[];\n',
    rule: "no-cycle",
  },
];

/** Files that must pass as they are: the boundaries keep nobody from where they belong. */
const allowed: readonly (readonly [file: string, text: string])[] = [
  ["src/main.ts", "process.exit(0);\n"],
  [
    "src/net/allowed.ts",
    'import { dlopen } from "bun:ffi";\nexport const found = [dlopen, Bun.listen, Bun.connect];\n',
  ],
  ["src/config/allowed.ts", 'import { z } from "zod";\nexport const found = [z, process.env];\n'],
  ["src/sidecar/allowed.ts", 'import { Hono } from "hono";\nexport const found = [Hono, Bun.serve];\n'],
  ["src/protocol/http1/allowed.ts", 'import type { Secret } from "../../secret.ts";\nexport type Found = Secret;\n'],
  [
    "src/protocol/http1/also-allowed.ts",
    'import { createHash } from "node:crypto";\nexport const found = createHash;\n',
  ],
  ["src/address/allowed.ts", 'import { domainToASCII } from "node:url";\nexport const found = domainToASCII;\n'],
  [
    "src/gate/allowed.ts",
    'import type { Runtime } from "../proxy/runtime.ts";\nimport type { Conn } from "../net/conn/conn.ts";\nexport type Found = [Runtime, Conn];\n',
  ],
  ["src/proxy/tunnel/allowed.ts", 'import type { Conn } from "../../net/conn/conn.ts";\nexport type Found = Conn;\n'],
  [
    "src/proxy/allowed.ts",
    `export const list = [\n${"  1,\n".repeat(298)}];\n\n${"// Comments and blank lines do not count.\n\n".repeat(20)}`,
  ],
];

/** Where breach number `index` is planted: breaches of one file must not hide each other. */
function place(breach: Breach, index: number): string {
  return breach.file.replace("planted.ts", `planted-${index}.ts`);
}

interface Complaint {
  readonly code: string;
  readonly filename: string;
}

describe("the linter", () => {
  const house = mkdtempSync(join(tmpdir(), "penstock-house-"));
  let complaints: readonly Complaint[] = [];

  beforeAll(() => {
    for (const file of [".oxlintrc.json", "tsconfig.json", "package.json"])
      copyFileSync(join(root, file), join(house, file));
    symlinkSync(join(root, "node_modules"), join(house, "node_modules"));
    const plant = (file: string, text: string): void => {
      mkdirSync(dirname(join(house, file)), { recursive: true });
      writeFileSync(join(house, file), text);
    };
    for (const [index, breach] of breaches.entries()) {
      plant(place(breach, index), breach.text);
      if (breach.rule === "no-cycle") {
        const back = breach.text.includes("import type")
          ? `import type { Found } from "./planted-${index}.ts";\nexport type Other = Found[];\n`
          : `import { found } from "./planted-${index}.ts";\nexport const other = found;\n`;
        plant(join(dirname(breach.file), "planted-other.ts"), back);
      }
    }
    for (const [file, text] of allowed) plant(file, text);
    const linter = Bun.spawnSync([join(root, "node_modules/.bin/oxlint"), "-f", "json", "src"], { cwd: house });
    ({ diagnostics: complaints } = JSON.parse(linter.stdout.toString()) as { diagnostics: Complaint[] });
  });

  afterAll(() => rmSync(house, { recursive: true, force: true }));

  test.each(breaches.map((breach, index) => [breach.what, breach, index] as const))(
    "fires when %s",
    (_, breach, index) => {
      const rules = complaints
        .filter(({ filename }) => filename.endsWith(place(breach, index)))
        .map(({ code }) => code.replace(/^.*\((.*)\)$/, "$1"));
      expect(rules).toContain(breach.rule);
    },
  );

  test.each(allowed.map(([file]) => file))("lets %s pass", (file) => {
    expect(complaints.filter(({ filename }) => filename.endsWith(file))).toEqual([]);
  });
});
