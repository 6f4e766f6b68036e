import { describe, expect } from "bun:test";
import { readBlocks } from "../support/documentation.ts";
import { needs } from "../support/needs.ts";
import { runner, type Tale, type TaleStep } from "../support/run-agents-tale.ts";
import { runInNamespace } from "../support/run-in-namespace.ts";

const programs = ["unshare", "ip", "mount", "iptables", "setpriv", "curl", "wget", "git", "npm", "node", "python3-pip"];
const register = needs(...programs, ...(process.getuid?.() === 0 ? [] : ["root"]));

/** Milliseconds for the whole page: the test that comes first waits for it. */
const RUN_MS = 300_000;
const test = (name: string, body: () => Promise<void>): void => register(name, body, RUN_MS);

let running: Promise<Tale> | undefined;

/** The page runs once for all tests; again after it could not be run. */
async function hearTale(): Promise<Tale> {
  running ??= runInNamespace<Tale>(runner, ["-n", "-m"]);
  try {
    return await running;
  } catch (error) {
    running = undefined;
    throw error;
  }
}

/** The steps whose command line has `part`; there is at least one. */
async function findSteps(part: string): Promise<readonly TaleStep[]> {
  const steps = (await hearTale()).steps.filter(({ command }) => command.includes(part));
  expect(steps).not.toBeEmpty();
  return steps;
}

/** In a page, spaces stand for any white space. */
const squeeze = (text: string): string => text.replaceAll(/\s+/g, " ");

const refusal = "No rule allows the target";

describe("the tale of docs/agents.md", () => {
  test("prints what the page shows, command by command", async () => {
    const { steps } = await hearTale();
    const shown = readBlocks("docs/agents.md").flatMap(({ text, language }) =>
      language === "console" ? text.split("\n").filter((line) => line.startsWith("$ ")) : [],
    );
    expect(steps.map(({ command }) => `$ ${command}`).sort()).toEqual(shown.sort());
    const missing = steps.flatMap(({ place, command, shown: lines, printed }) =>
      lines
        .filter((line) => !squeeze(printed).includes(squeeze(line)))
        .map((line) => `${place}: ${command} prints no "${line}", but: ${printed}`),
    );
    expect(missing).toEqual([]);
  });

  test("has curl, git, npm, pip and a Node agent work in report mode, and under the rules that were learned", async () => {
    const { records } = await hearTale();
    const work = [
      "curl -sS https://www.example.org/",
      "git clone https://git.forge",
      "npm install",
      "pip install",
      "agent.mjs ask",
    ];
    for (const part of work) expect((await findSteps(part)).map(({ code }) => code)).toEqual([0, 0]);
    const carried = records.filter((record) => record["detail"] === undefined);
    const reported = carried.filter((record) => record["reported"] === "denied_by_default");
    const allowed = carried.filter((record) => record["rule"] === "learned-1");
    const hosts = (of: typeof records) => [...new Set(of.map((record) => record["target"]))].sort();
    expect(hosts(allowed)).toEqual(hosts(reported));
    expect(hosts(allowed)).toHaveLength(6);
  });

  test("has the rules that penstock learn wrote", async () => {
    const [, learned] = await findSteps("penstock learn");
    const { rules } = Bun.YAML.parse(learned?.printed.split("Learned from", 2).join("") ?? "") as Configuration;
    expect(rules).toHaveLength(1);
    const page = readBlocks("docs/agents.md").filter(
      ({ language, text }) => language === "yaml" && !text.includes("mode: report"),
    );
    expect(page).toHaveLength(2);
    for (const { text } of page) {
      const written = (Bun.YAML.parse(text) as Configuration).rules.find(({ name }) => name === "learned-1");
      const { sni, ech, protocols, ...rule } = written ?? {};
      expect({ sni, ech, protocols }).toEqual({ sni: "match", ech: "deny", protocols: ["tls"] });
      const to = (rules[0]?.to ?? []).filter((target) => target !== "api.model.example:443");
      expect<object>(rule).toEqual({ ...rules[0], to });
    }
  });

  test("asks an operator for a new host once, and lets it through for ten minutes", async () => {
    const { told } = await hearTale();
    const [first, second] = await findSteps("https://docs.library.example/");
    expect([first?.code, second?.code]).toEqual([0, 0]);
    const answers = told.filter((line) => line.startsWith("Approval ") && line.includes("docs.library.example:443"));
    expect(answers).toHaveLength(1);
    expect(answers[0]).toContain("allowed for 10 minutes");
  });

  test("has the token at the API alone, and nowhere in the sandbox", async () => {
    const { steps, sandboxHas, told, records } = await hearTale();
    const sent = steps.flatMap(({ visits }) => visits).filter(({ authorization }) => authorization !== null);
    expect(new Set(sent.map(({ host }) => host))).toEqual(new Set(["api.model.example"]));
    const token = sent[0]?.authorization?.slice("Bearer ".length) ?? "";
    expect(token).not.toBe("sk-placeholder");
    expect(sandboxHas).toEqual({ token: false, placeholder: true });
    expect(JSON.stringify([steps.map(({ printed }) => printed), told, records])).not.toContain(token);
  });
});

interface Configuration {
  readonly rules: readonly {
    readonly name: string;
    readonly to: readonly string[];
    readonly sni?: string;
    readonly ech?: string;
    readonly protocols?: readonly string[];
  }[];
}

describe("a hostile program in the sandbox of docs/agents.md", () => {
  /** Nothing came of it: it failed, no site was asked, and no name server unless for `asked`. */
  const expectNothing = (step: TaleStep): void => {
    expect({ command: step.command, failed: step.code !== 0, visits: step.visits, asked: step.asked }).toEqual({
      command: step.command,
      failed: true,
      visits: [],
      asked: [],
    });
  };

  test("refuses names that carry data, and asks no name server for them", async () => {
    const steps = await findSteps("c2VjcmV0LXRva2Vu");
    for (const step of steps) expectNothing(step);
    const reasons = steps
      .filter(({ printed }) => printed.includes(refusal))
      .map(({ command }) => command.split(" ", 1)[0]);
    expect(reasons).toEqual(["wget", "curl", "npm", "python3", "python3", "node"]);
    expect((await hearTale()).steps.flatMap(({ asked }) => asked).filter((name) => name.includes("evil"))).toEqual([]);
  });

  test("refuses an address in place of a name, and another port", async () => {
    for (const part of ["https://93.184.9.9/", ":8443/"]) for (const step of await findSteps(part)) expectNothing(step);
    const { records } = await hearTale();
    const refused = records.filter(({ target }) => target === "93.184.9.9:443" || target === "www.example.org:8443");
    expect(refused.map(({ status, detail }) => [status, detail])).toEqual([
      [403, "denied_by_default"],
      [403, "denied_by_default"],
    ]);
  });

  test("refuses internal addresses in report mode, under rules, and without a question where others are asked for", async () => {
    for (const step of await findSteps("https://10.0.0.8/")) expectNothing(step);
    const { records } = await hearTale();
    const refused = records.filter(({ target }) => target === "10.0.0.8:443");
    expect(refused.map(({ detail }) => detail)).toEqual([
      "address_prohibited",
      "denied_by_default",
      "address_prohibited",
    ]);
  });

  test("ends a tunnel for another server name before its target hears of it", async () => {
    const steps = [...(await findSteps("--connect-to")), ...(await findSteps("FRONT="))];
    expect(steps.map(({ code, visits }) => [code !== 0, visits])).toEqual([
      [true, []],
      [true, []],
    ]);
    const { records } = await hearTale();
    expect(records.filter(({ detail }) => detail === "sni_mismatch")).toHaveLength(2);
  });

  test("refuses WebSockets, and a tunnel to a host whose forwarded requests are allowed", async () => {
    for (const part of ["agent.mjs socket", "tunnel https://api.model.example"])
      for (const step of await findSteps(part)) expectNothing(step);
  });

  test("has no other way than the proxy", async () => {
    for (const step of await findSteps("--noproxy")) expectNothing(step);
    expect((await hearTale()).strayConnections).toBe(0);
  });
});
