import { describe, expect } from "bun:test";
import { join } from "node:path";
import { runExecutable, startExecutable } from "../support/executable.ts";
import { needs } from "../support/needs.ts";
import { runProgram } from "../support/program.ts";
import { listenSessionUpstream } from "../support/session-upstream.ts";
import { makeFolder } from "../support/temporary-folder.ts";

const page = await Bun.file(join(import.meta.dir, "../../docs/upstreams.md")).text();

/** What stands under a heading of docs/upstreams.md, up to the next one. */
function readSection(heading: string): string {
  const [, rest = ""] = page.split(`## ${heading}\n`);
  return rest.split(/^#{2,3} /m)[0] ?? "";
}

/** The blocks of a language in a section. */
function readBlocks(section: string, language: string): string[] {
  return [...section.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"))].map(([, text = ""]) => text);
}

/** The cells of the table in a section, without what makes them look like code. */
function readTable(section: string): string[][] {
  return [...section.matchAll(/^\| `.*\|$/gm)].map(([line]) =>
    line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim().replaceAll("`", "")),
  );
}

describe("docs/upstreams.md", () => {
  needs("curl")("rotates residential exits with sessions, as written", async () => {
    const section = readSection("Rotating residential exits with sessions");
    const [config = ""] = readBlocks(section, "ts");
    const [curls = "", explained = ""] = readBlocks(section, "sh");
    const [explanation = ""] = readBlocks(section, "text");
    using upstream = listenSessionUpstream("socks5");
    await using folder = await makeFolder({
      "proxy.config.ts": config
        .replace('host: "0.0.0.0", port: 8080', 'host: "127.0.0.1", port: 0')
        .replace("gate.provider.example:7000", `127.0.0.1:${upstream.port}`),
      "users.htpasswd": `alice:${await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 })}\n`,
    });
    const env = { EXITS_PASSWORD: "s3cret" };
    await using proxy = await startExecutable({ cwd: folder.path, env });

    const table = readTable(section);
    const commands = curls.trim().split("\n");
    expect(commands).toHaveLength(table.length);
    for (const [at, command] of commands.entries()) {
      const [name = "", login = "", result = ""] = table[at] ?? [];
      expect(command).toContain(`//${name}:secret@`);
      const words = command.replace("proxy.example:8080", `127.0.0.1:${proxy.port}`).split(" ");
      const { stdout } = await runProgram([...words, "-sS"]);
      if (login === "") expect(stdout).toContain(result.replace(/, (\w+) with .*/, " http_request_denied ($1)"));
      else expect(stdout).toBe(login);
    }

    const [, ...args] = explained.trim().split(" ");
    const { stdout, code } = await runExecutable(args, { cwd: folder.path, env });
    expect(code).toBe(0);
    expect(stdout.replace(`127.0.0.1:${upstream.port}`, "gate.provider.example:7000")).toBe(explanation);
    const record = await proxy.record((each) => each["parameters"] !== undefined && each["rule"] === "countries");
    expect(record).toMatchObject({ user: "alice", parameters: { country: "de" } });
    expect(JSON.stringify(proxy.records)).toContain('"user":"alice","parameters":{"session":"a1","country":"de"}');
  });

  needs("curl")("keeps sessions at one of several gateways, as written", async () => {
    const [config = ""] = readBlocks(readSection("Several gateways"), "ts");
    using one = listenSessionUpstream("socks5");
    using two = listenSessionUpstream("socks5");
    await using folder = await makeFolder({
      "proxy.config.ts": config
        .replace('host: "0.0.0.0", port: 8080', 'host: "127.0.0.1", port: 0')
        .replace("gate-1.provider.example:7000", `127.0.0.1:${one.port}`)
        .replace("gate-2.provider.example:7000", `127.0.0.1:${two.port}`),
      "users.htpasswd": `alice:${await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 })}\n`,
    });
    await using proxy = await startExecutable({ cwd: folder.path, env: { EXITS_PASSWORD: "s3cret" } });
    const ask = async (name: string): Promise<string> => {
      const words = ["curl", "-sS", "-x", `http://${name}:secret@127.0.0.1:${proxy.port}`, "http://example.org/"];
      return (await runProgram(words)).stdout;
    };
    const logins = (upstream: typeof one): string[] => upstream.connections.flatMap((each) => each.logins);
    const session = "customer-acme-sessid-alice_a1";
    for (let at = 0; at < 3; at++) expect(await ask("alice-session-a1")).toBe(session);
    const [home, other] = logins(one).length > 0 ? [one, two] : [two, one];
    expect(logins(other)).toEqual([]);
    for (let at = 0; at < 4; at++) expect(await ask("alice")).toBe("customer-acme");
    expect(logins(one)).toContain("customer-acme");
    expect(logins(two)).toContain("customer-acme");
    home[Symbol.dispose]();
    for (let at = 0; at < 2; at++) expect(await ask("alice-session-a1")).toBe(session);
    expect(logins(other)).toContain(session);
  });
});
