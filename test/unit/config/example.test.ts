import { describe, expect, test } from "bun:test";

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { exampleConfig } from "../../../src/cli/example-configs.ts";
import { loadConfig } from "../../../src/config/load.ts";

const folder = `${import.meta.dir}/../../..`;

describe("the example configuration", () => {
  test("is the file at the top of the repository", async () => {
    expect(exampleConfig).toBe(await Bun.file(`${folder}/proxy.config.ts`).text());
  });

  test("is valid as it stands, and listens on 127.0.0.1:8080", async () => {
    const loaded = await loadConfig({ folder, flags: {}, variables: {}, terminal: false });
    expect(loaded).toMatchObject({ ok: true, value: { compiled: { listeners: [{ host: "127.0.0.1", port: 8080 }] } } });
  });

  test("is valid with every setting that it shows in a comment", async () => {
    const home = await mkdtemp(join(tmpdir(), "penstock-example-"));
    const text = exampleConfig
      .replace(/^( *)\/\/ (?=[a-z]+: |\{ name: | {2}[a-z]+: |\},$)/gm, "$1")
      .replace('default: "direct"', 'default: "corp"');
    await Bun.write(join(home, "proxy.config.ts"), text);
    await Bun.write(join(home, "users.htpasswd"), "# nobody yet\n");
    const variables = { CORP_PASSWORD: "x", SIDECAR_TOKEN: "y" };
    const loaded = await loadConfig({ folder: home, flags: {}, variables, terminal: false });
    await rm(home, { recursive: true });
    expect(loaded.ok ? [] : loaded.problems).toEqual([]);
    const compiled = loaded.ok ? loaded.value.compiled : undefined;
    expect(compiled?.runtime.policy.rules.map((rule) => rule.name)).toEqual(["no-mail", "registry", "lab"]);
    expect([...(compiled?.runtime.upstreams.keys() ?? [])]).toEqual(["corp", "exit"]);
    expect(compiled?.usersFile?.path).toBe(join(home, "users.htpasswd"));
    expect(compiled?.sidecar?.tokens[0]?.token.reveal()).toBe("y");
    expect(compiled?.log.access).toBe("json");
    expect(compiled?.runtime.limits.perUser.connections).toBe(200);
  });
});
