import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import fc from "fast-check";

import { runCli } from "../../src/cli/run-cli.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { makeFolder, type TemporaryFolder } from "../support/temporary-folder.ts";

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

/** Marks a secret on both sides, since half of one is too much. */
const HEAD = "S3kr";
const TAIL = "kr3t";

/** What people have in passwords, and what formats and URLs take for something else. */
const middle = fc.oneof(
  fc
    .array(fc.constantFrom(..."/#?@:%'\"`\\$&*!=+,;{}[]()<>|^~ .-_", "ü", "密", "🔑", "\u00a0", "://", "%zz", "${x}"), {
      maxLength: 6,
    })
    .map((parts) => parts.join("")),
  fc.string({ maxLength: 8 }),
);
const secrets = middle.map((text) => `${HEAD}${text.replaceAll("\0", "")}${TAIL}`);

/** What stands before a colon is the name of a user, wherever users are lines of text. */
const noName = (secret: string): string => secret.replaceAll(":", "");

/** Configurations with a secret in every place that may hold one, or be mistaken for it. Many are wrong. */
const places: readonly ((secret: string) => object)[] = [
  (secret) => ({ upstream: `http://ann:${secret}@proxy.example:3128` }),
  (secret) => ({ upstream: `ann:${secret}@proxy.example:3128` }),
  (secret) => ({ upstream: `http:/ann:${secret}@proxy.example:3128` }),
  (secret) => ({ upstream: `http://ann:${secret}` }),
  (secret) => ({ upstream: `ftp://ann:${secret}@proxy.example:3128` }),
  (secret) => ({ upstream: secret }),
  (secret) => ({ upstreams: { corp: `socks5h://ann:${secret}@proxy.example` }, default: "corp" }),
  (secret) => ({ upstreams: { corp: { url: `https://ann:${secret}@proxy.example:99999` } } }),
  (secret) => ({ upstreams: { corp: { url: "http://h:1", username: `ann:${secret}`, password: secret } } }),
  (secret) => ({ upstreams: { corp: { url: "http://h:1", username: "ann", password: [secret] } } }),
  (secret) => ({ upstreams: { corp: { url: "http://h:1", password: secret, pass: secret, [`ann:${secret}`]: 1 } } }),
  (secret) => ({ upstreams: { corp: { url: `http://ann:${secret}@h:1`, username: "ann", password: secret } } }),
  (secret) => ({ upstreams: { [`http://ann:${secret}@h:1`]: "http://h:1" }, default: "h" }),
  (secret) => ({ upstreams: `http://ann:${secret}@h:1` }),
  (secret) => ({ upstreams: [`http://ann:${secret}@h:1`] }),
  (secret) => ({ default: `http://ann:${secret}@h:1` }),
  (secret) => ({ default: [`ann:${secret}@h:1`] }),
  (secret) => ({ rules: [{ via: `http://ann:${secret}@h:1` }] }),
  (secret) => ({ rules: [{ to: [`http://ann:${secret}@h:1/`], deny: true }] }),
  (secret) => ({ rules: [{ users: [`ann:${secret}`], deny: true }] }),
  (secret) => ({
    rules: [
      { name: `ann:${secret}`, to: ["*"] },
      { name: `ann:${secret}`, deny: true },
    ],
  }),
  (secret) => ({ users: [`ann:${secret}`] }),
  (secret) => ({ users: `ann:${secret}` }),
  (secret) => ({ users: [secret] }),
  (secret) => ({ users: { ann: secret } }),
  (secret) => ({ users: { [`ann:${secret}`]: null } }),
  (secret) => ({ users: [{ name: `ann:${secret}`, password: "x" }] }),
  (secret) => ({ users: [{ name: "ann", password: secret }] }),
  (secret) => ({ users: [{ name: "ann", password: secret, again: secret }] }),
  (secret) => ({ users: [{ name: "ann", password: `$1$${secret}` }] }),
  (secret) => ({ users: [{ name: "ann", password: `$2y$05$${secret}` }] }),
  (secret) => ({ users: [{ name: "ann", password: { text: secret } }] }),
  (secret) => ({ sidecar: { port: 1, token: secret } }),
  (secret) => ({ sidecar: { port: 1, token: [secret] } }),
  (secret) => ({ sidecar: { port: 1, tokn: secret } }),
  (secret) => ({ sidecar: { port: secret, token: secret } }),
  (secret) => ({ sidecar: secret }),
  (secret) => ({ sidecar: { port: 1, host: "0.0.0.0", tokens: [secret] } }),
  (secret) => ({ listen: [`ann:${secret}@0.0.0.0:1`] }),
  (secret) => ({ listen: [`http://ann:${secret}@0.0.0.0:1`] }),
  (secret) => ({
    listen: [{ port: 1, tls: { cert: `-----BEGIN X-----\n${secret}`, key: `-----BEGIN X-----\n${secret}` } }],
  }),
  (secret) => ({ clients: [`ann:${secret}`] }),
  (secret) => ({ password: secret, token: { value: secret } }),
];

/** What a command tells and prints, with the secret in a file, in variables or in flags. */
async function listen(argv: readonly string[], variables: Record<string, string> = {}): Promise<string> {
  const io = createFakeIo({ folder: folder.path, variables });
  await runCli(argv, io);
  return `${io.told.join("\n")}\n${io.printed()}`;
}

/** Neither the secret nor a half of it, in clear or encoded. */
function expectSilence(text: string): void {
  expect(text).not.toContain(HEAD);
  expect(text).not.toContain(TAIL);
}

const formats: readonly [ending: string, write: (config: object) => string][] = [
  ["json", (config) => JSON.stringify(config)],
  ["yaml", (config) => Bun.YAML.stringify(config, undefined, 2)],
  ["ts", (config) => `export default ${JSON.stringify(config)};`],
  ["js", (config) => `const config = ${JSON.stringify(config)}; export default Promise.resolve(config);`],
];

let written = 0;
/** A name of its own: what is imported once is not read again. */
const nameFile = (ending: string): string => `c${++written}.${ending}`;

describe("no message has a secret in it", () => {
  test.each(formats)("when it stands in a file in %s, wherever", async (ending, write) => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...places), secrets, async (place, secret) => {
        const name = nameFile(ending);
        await folder.write({ [name]: write(place(secret)) });
        expectSilence(await listen(["check", "--config", name]));
        expectSilence(await listen(["explain", "--config", name, "192.0.2.1:443"]));
      }),
      { numRuns: 150 },
    );
  });

  test("when it stands without its quotes, where another format would have it, or after the end", async () => {
    const broken: readonly (readonly [string, (secret: string) => string])[] = [
      ["json", (secret) => `{ "password": ${secret} }`],
      ["json", (secret) => `{ "sidecar": { "token": "${secret} } }`],
      ["yaml", (secret) => `sidecar:\n  port: 1\n  token: ${secret}\n`],
      ["yaml", (secret) => `users:\n  - ann:${secret}\n`],
      ["yaml", (secret) => `users:\n  - ann: ${secret}\n`],
      ["yaml", (secret) => `users: [{ann:${secret}}]\n`],
      ["yaml", (secret) => `upstream: *${secret}\n`],
      ["yaml", (secret) => `upstream: !${secret}\n`],
      ["yaml", (secret) => `"${secret}: 1\n`],
      ["toml", (secret) => `upstream = ${secret}\n`],
      ["toml", (secret) => `[sidecar]\ntoken = "${secret}\n`],
      ["toml", (secret) => `[sidecar]\ntoken = '${secret}'\nport = "x"\n`],
      ["ts", (secret) => `export default { sidecar: { token: ${secret} } };`],
      ["ts", (secret) => `export default { upstream: "x" ${secret} };`],
      ["ts", (secret) => `throw new Error(${JSON.stringify(`cannot reach http://ann:${secret}@h:1`)});`],
      ["ts", (secret) => `export default ${JSON.stringify({ users: [secret] })}.users[0].x.y;`],
    ];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...broken), secrets, async ([ending, write], secret) => {
        const name = nameFile(ending);
        await folder.write({ [name]: write(secret.replaceAll("\n", "")) });
        expectSilence(await listen(["check", "--config", name]));
      }),
      { numRuns: 400 },
    );
  });

  test("when it comes with a flag or a variable", async () => {
    const calls: readonly ((secret: string) => [argv: string[], variables?: Record<string, string>])[] = [
      (secret) => [["check", "--upstream", `ann:${secret}@h`]],
      (secret) => [["check", `--upstream=http://ann:${secret}@h:1`]],
      (secret) => [["check", `--user=${noName(secret)}`]],
      (secret) => [["check", `--user=ann:${secret}`, `--user=ann:${secret}`]],
      (secret) => [["check", `--listen=ann:${secret}@0.0.0.0:1`]],
      (secret) => [["check", `--sidecar=http://ann:${secret}@h:1`]],
      (secret) => [["check", `--password=${secret}`]],
      (secret) => [["check", `-p${secret}`]],
      (secret) => [["check", "--user", "ann", secret]],
      (secret) => [["passwd", "ann", secret]],
      (secret) => [["passwd", `ann:${secret}`]],
      (secret) => [[`http://ann:${secret}@h:1`]],
      (secret) => [["explain", `https://ann:${secret}@h/`]],
      (secret) => [["trace", `https://ann:${secret}@h/`]],
      (secret) => [["trace", "--proxy", `ann:${secret}@h:1`, "https://h/"]],
      (secret) => [["capture", "-o", "-", "--token", secret, "--sidecar", `http://ann:${secret}@127.0.0.1:1`]],
      (secret) => [["check"], { PENSTOCK_UPSTREAM: `http://ann:${secret}@h:1` }],
      (secret) => [["check"], { PENSTOCK_USERS: `ann:${noName(secret)}` }],
      (secret) => [["check"], { PENSTOCK_USERS: noName(secret) }],
      (secret) => [["check"], { PENSTOCK_SIDECAR_TOKEN: secret }],
      (secret) => [["check"], { PENSTOCK_SIDECAR_TOKEN: secret, PENSTOCK_SIDECAR_PORT: secret }],
      (secret) => [["check"], { PENSTOCK_PASSWORD: secret }],
      (secret) => [["check"], { PENSTOCK_DEFAULT: `http://ann:${secret}@h:1` }],
      (secret) => [["check"], { PENSTOCK_UPSTREAM: "environment", https_proxy: `http://ann:${secret}@h:1` }],
      (secret) => [["check"], { PENSTOCK_UPSTREAM: "environment", all_proxy: `ann:${secret}@h:1` }],
    ];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...calls), secrets, async (call, secret) => {
        expectSilence(await listen(...call(secret)));
      }),
      { numRuns: 250 },
    );
  });

  test("when it is what a variable or a file holds that the configuration names", async () => {
    await fc.assert(
      fc.asyncProperty(secrets, async (secret) => {
        const [name, users] = [nameFile("json"), nameFile("htpasswd")];
        const sidecar = { port: 1, token: { env: "TOKEN" } };
        await folder.write({
          [users]: `ann:${secret}\n${noName(secret)}\n`,
          [name]: { users: { file: users }, sidecar },
        });
        expectSilence(await listen(["check", "--config", join(folder.path, name)], { TOKEN: secret }));
      }),
      { numRuns: 100 },
    );
  });
});
