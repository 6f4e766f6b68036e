import { describe, expect, test } from "bun:test";
import { askInVain, openTunnel } from "../support/ask-tunnel.ts";
import { runExecutable, startExecutable } from "../support/executable.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";

/** A configuration whose function leaves an error behind; the secrets stand right above it. */
function makeConfig(leave: string): string {
  return `
const apiKey = "key-in-the-source";
export default {
  listen: [{ host: "127.0.0.1", port: 0 }],
  sidecar: { port: 0, token: "T0pSecretToken" },
  users: [{ name: "alice", password: "Al1ce Passw0rd" }],
  upstreams: { corp: "http://edge:up%2Dsecret@192.0.2.1:3128" },
  rules: [(request: { user?: string }) => {
    ${leave}
    return { allow: true, allowPrivate: true };
  }],
};
`;
}

const SECRETS = ["key-in-the-source", "T0pSecretToken", "Al1ce", "Passw0rd", "up-secret", "up%2Dsecret"];

const credentials = "alice:Al1ce Passw0rd";

describe("an error that a function of the configuration leaves behind", () => {
  test.each([
    ["a rejected promise", 'Promise.reject(new Error("audit is gone"));', "Error: audit is gone (at "],
    ["a throwing timer", 'setTimeout(() => { throw new RangeError("late"); }, 1);', "RangeError: late (at "],
    ["a thrown text", 'queueMicrotask(() => { throw "no error at all\\u001b[2J"; });', "no error at all\\u001b[2J."],
    ["a thrown object", "Promise.reject({ apiKey, request });", "a value of type object."],
    ["nothing", "Promise.reject();", "a value of type undefined."],
    [
      "an error with secrets in it",
      'Promise.reject(new Error("http://edge:up%2Dsecret@192.0.2.1 up-secret T0pSecretToken " + btoa("alice:Al1ce Passw0rd")));',
      "[redacted]",
    ],
    [
      "an error that throws when it is looked at",
      'Promise.reject(Object.defineProperty(new Error("x"), "message", { get() { throw new Error(apiKey); } }));',
      "something that cannot be described.",
    ],
  ])("is told in one line without source or secrets, and ends nothing: %s", async (_, leave, part) => {
    await using folder = await makeFolder({ "proxy.config.ts": makeConfig(leave) });
    using echo = listenEcho();
    await using proxy = await startExecutable({ cwd: folder.path });
    using client = await openTunnel(proxy.port, `127.0.0.1:${echo.port}`, credentials);
    const told = await proxy.untilTold("A mistake outside of any connection, which ended none: ");
    expect(told).toContain(part);
    client.write("still here");
    await client.untilText("still here");
    const all = `${proxy.told.join("\n")}${proxy.stdout}`;
    for (const secret of [...SECRETS, btoa(credentials)]) expect(all).not.toContain(secret);
    client.finish();
    proxy.signal("SIGTERM");
    expect(await proxy.exited).toBe(0);
  });

  test("is told once in a while, however often it happens", async () => {
    await using folder = await makeFolder({
      "proxy.config.ts": makeConfig('for (let i = 0; i < 5000; i += 1) Promise.reject(new Error("again"));'),
    });
    await using proxy = await startExecutable({ cwd: folder.path });
    for (let count = 0; count < 3; count += 1) await askInVain(proxy.port, "127.0.0.1:1", credentials);
    expect(proxy.told.filter((line) => line.includes("again"))).toHaveLength(1);
  });

  test("ends other commands with 1 and a line, not with the lines of the file", async () => {
    await using folder = await makeFolder({
      "proxy.config.ts": `const secret = "T0pSecretToken";
        await new Promise((resolve) => { setTimeout(() => { throw new Error("at once"); }, 1); setTimeout(resolve, 500); });
        export default { sidecar: { port: 0, token: secret } };`,
    });
    const { code, stderr, stdout } = await runExecutable(["check"], { cwd: folder.path });
    expect(code).toBe(1);
    expect(stderr).toStartWith("Penstock failed: Error: at once (at ");
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(stderr + stdout).not.toContain("T0pSecretToken");
  });
});
