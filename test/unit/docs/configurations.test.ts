import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { runCli } from "../../../src/cli/run-cli.ts";
import { type CertificateAuthority, makeAuthority } from "../../support/certificate-authority.ts";
import { type CodeBlock, listPages, readBlocks } from "../../support/documentation.ts";
import { createFakeIo } from "../../support/fake-io.ts";
import { makeFolder, type TemporaryFolder } from "../../support/temporary-folder.ts";

/** The pods of a deployment, as far as the pages have them. */
interface Template {
  readonly metadata: { readonly labels: object };
  readonly spec: {
    readonly terminationGracePeriodSeconds: number;
    readonly securityContext: object;
    readonly volumes: readonly { readonly name: string }[];
    readonly containers: readonly [
      {
        readonly args: readonly string[];
        readonly ports: readonly object[];
        readonly env: readonly { readonly name: string }[];
        readonly readinessProbe: {
          readonly exec: { readonly command: readonly string[] };
          readonly timeoutSeconds: number;
        };
        readonly securityContext: object;
        readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
      },
    ];
  };
}

/** What a block is beside a configuration, by something that it begins with or holds. */
const others: readonly { readonly is: string; readonly marks: RegExp }[] = [
  { is: "a policy test", marks: /^# policy\.test\.yaml$/m },
  { is: "a file of Prometheus", marks: /^scrape_configs:$/m },
  { is: "manifests of Kubernetes", marks: /^apiVersion: /m },
  { is: "a PAC file", marks: /^function FindProxyForURL\(/m },
  { is: "the type of a function, or of what it gives", marks: /^\(.*\) => |^[\w<, >]+( \| .*)?$/ },
  { is: "an answer of the sidecar", marks: /"(?:since_ms|used_by)": / },
];

const languages = new Set(["ts", "js", "json", "yaml", "toml"]);

const blocks = listPages()
  .flatMap(readBlocks)
  .filter(({ language }) => languages.has(language));
const configurations = blocks.filter(({ text }) => !others.some(({ marks }) => marks.test(text)));

describe("a configuration in the documentation", () => {
  let authority: CertificateAuthority;
  let folder: TemporaryFolder;

  beforeAll(async () => {
    authority = await makeAuthority();
    const { cert, key } = await authority.issue({ names: ["DNS:proxy.example"] });
    // The files that the pages speak of.
    folder = await makeFolder({
      "users.htpasswd": `alice:${await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 })}\n`,
      "fullchain.pem": cert,
      "privkey.pem": key,
      "redis-ca.pem": authority.cert,
      "corp-ca.pem": authority.cert,
      "ca.pem": authority.cert,
      "prometheus.token": "0123456789abcdef0123456789abcdef\n",
      "dev.txt": "git.example\n",
      "blocked.txt": "*.evil.example\n",
    });
  });
  afterAll(async () => {
    await folder[Symbol.asyncDispose]();
    await authority[Symbol.asyncDispose]();
  });

  test.each(configurations.map((block) => [block.place, block] as const))("%s is accepted", async (_, block) => {
    const { name, text } = completeConfiguration(block);
    await folder.write({ [name]: text });
    // Every variable that the text names has a value.
    const named = Array.from(
      text.matchAll(/env\(\s*"(\w+)"|"?\benv"?: "?(\w+)"?/g),
      ([, call, member]) => call ?? member,
    );
    const variables = Object.fromEntries(named.map((variable) => [variable ?? "", "0123456789abcdef0123456789"]));
    const io = createFakeIo({ folder: folder.path, variables });
    const code = await runCli(["check", "--config", `${folder.path}/${name}`], io);
    expect({ code, told: code === 0 ? [] : io.told }).toEqual({ code: 0, told: [] });
  });
});

describe("manifests of Kubernetes in the documentation", () => {
  const manifests = blocks.filter(({ text }) => /^apiVersion: /m.test(text));
  test.each(manifests.map(({ place, text }) => [place, text] as const))("%s agree with each other", (_, text) => {
    const [config, deployment, service, policy] = Bun.YAML.parse(text) as [
      { data: Record<string, string> },
      { spec: { selector: { matchLabels: object }; template: Template } },
      { spec: { selector: object; ports: { port: number }[] } },
      { spec: { egress: { to: { podSelector: { matchLabels: object } }[]; ports: { port: number }[] }[] } },
    ];
    const { metadata, spec } = deployment.spec.template;
    const [container] = spec.containers;
    const [[file, settings] = ["", ""]] = Object.entries(config.data);
    const { listen, timeouts, sidecar } = Bun.YAML.parse(settings) as {
      listen: string[];
      timeouts: { lameDuck: string; drain: string };
      sidecar: { token: { env: string } };
    };
    const path = `${container.volumeMounts[0]?.mountPath}/${file}`;
    expect(container.args).toEqual(["--config", path]);
    expect(container.readinessProbe.exec.command).toContain(path);
    expect(container.volumeMounts.map(({ name }) => name)).toEqual(spec.volumes.map(({ name }) => name));
    expect(container.env.map(({ name }) => name)).toEqual([sidecar.token.env]);

    const port = Number(listen[0]?.split(":")[1]);
    expect(container.ports).toEqual([{ containerPort: port }]);
    expect(service.spec.ports).toEqual([{ port }]);
    expect(policy.spec.egress.flatMap(({ ports }) => ports)).toEqual([{ port }]);
    const labels = [
      metadata.labels,
      service.spec.selector,
      policy.spec.egress[0]?.to[0]?.podSelector.matchLabels as object,
    ];
    for (const each of labels) expect(each).toEqual(deployment.spec.selector.matchLabels);

    const seconds = (span: string): number => Number(span.replace(/s$/, ""));
    expect(spec.terminationGracePeriodSeconds).toBeGreaterThan(seconds(timeouts.lameDuck) + seconds(timeouts.drain));
    // `healthcheck` waits five seconds for the answer.
    expect(container.readinessProbe.timeoutSeconds).toBeGreaterThan(5);
    // What the "restricted" pod security standard asks for.
    expect(spec.securityContext).toEqual({ runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
    expect(container.securityContext).toMatchObject({
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
    });
  });

  test.each(manifests.map(({ place, text }) => [place, text] as const))(
    "%s hold an accepted configuration",
    async (_, text) => {
      const documents = Bun.YAML.parse(text) as { kind: string; data?: Record<string, string> }[];
      expect(documents.map(({ kind }) => kind)).toEqual(["ConfigMap", "Deployment", "Service", "NetworkPolicy"]);
      await using folder = await makeFolder(documents[0]?.data ?? {});
      const io = createFakeIo({ folder: folder.path, variables: { SIDECAR_TOKEN: "0123456789abcdef0123456789" } });
      const code = await runCli(["check"], io);
      expect({ code, told: code === 0 ? [] : io.told }).toEqual({ code: 0, told: [] });
    },
  );
});

describe("a block that is no configuration", () => {
  const kinds = others.map(({ is, marks }) => [is, marks] as const);
  test.each(kinds)("stands in a page: %s", (_, marks) => {
    expect(blocks.some(({ text }) => marks.test(text))).toBe(true);
  });
});

/** The file that a block stands for: a whole one as it is, settings within a file, or a rule within its list. */
function completeConfiguration({ place, language, text }: CodeBlock): { readonly name: string; readonly text: string } {
  const name = `${place.replace(/\W/g, "-")}.config.${language}`;
  const isWhole = /^export default /m.test(text);
  if (language === "yaml" || language === "toml" || isWhole) return { name, text };
  const part = text.trim().replace(/[,;]$/, "");
  if (language === "json") return { name, text: part.startsWith("{") ? part : `{${part}}` };
  const settings = part.startsWith("{") ? `rules: [${part}]` : part;
  return {
    name,
    text: `import { defineConfig, env } from "penstock";\nexport default defineConfig({\n${settings}\n});\n`,
  };
}
