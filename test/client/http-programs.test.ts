import { afterAll, beforeAll, describe, expect } from "bun:test";
import { join } from "node:path";
import { clientPrograms, type Destinations, gitEnvironment } from "../support/client-programs.ts";
import { type ClientStand, startClientStand, ways } from "../support/client-stand.ts";
import { isInstalled, needs } from "../support/needs.ts";
import { startSshd } from "../support/open-ssh.ts";
import { expectProgram, runProgram } from "../support/program.ts";
import { makeFolder, type TemporaryFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

let stack: AsyncDisposableStack;
let repositories: TemporaryFolder;
let stand: ClientStand;
let destinations: Destinations;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  repositories = stack.use(await makeFolder());
  if (isInstalled("git")) await makeRepository(repositories.path);
  stand = stack.use(await startClientStand(repositories.path));
  const websockets = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, server) => (server.upgrade(request) ? undefined : new Response("no", { status: 400 })),
    websocket: { message: (socket, message) => void socket.send(message) },
  });
  stack.defer(() => websockets.stop(true));
  const hasSsh = ["sshd", "ssh-keygen"].every(isInstalled);
  destinations = {
    stand,
    ssh: hasSsh ? stack.use(await startSshd()) : undefined,
    websocketUrl: `ws://127.0.0.1:${websockets.port}/`,
  };
});
afterAll(() => stack.disposeAsync());

describe.each(clientPrograms)("$name", (program) => {
  for (const { way, needs: upstream } of ways) {
    needs(
      ...program.needs,
      ...upstream,
      "node",
      "openssl",
    )(`gets through Penstock, ${describeWay(way)}`, async () => {
      const before = stand.tunnels(way).length;
      const { code, stdout, stderr } = await program.run(destinations, way, stand.user(way).password);
      expect({ code, output: stdout + stderr }).toEqual({ code: 0, output: expect.stringContaining(program.prints) });
      const record = await waitFor(() => stand.tunnels(way)[before], "the record of the tunnel");
      expect(record).toMatchObject({
        protocol: "http",
        method: "CONNECT",
        user: `via-${way}`,
        rule: way,
        route: way,
        status: 200,
      });
      expect(Math.min(Number(record["bytes_up"]), Number(record["bytes_down"]))).toBeGreaterThan(10);
    });
  }

  needs(
    ...program.needs,
    "node",
    "openssl",
  )("gets nowhere with a wrong password", async () => {
    const before = stand.proxy.records.length;
    const ran = await program.run(destinations, "direct", "guessed").catch(() => "rejected");
    if (typeof ran !== "string") {
      expect(ran.code).not.toBe(0);
      expect(ran.stdout).not.toContain(program.prints);
    }
    const record = await waitFor(
      () => stand.proxy.records.slice(before).find(({ detail }) => detail === "credentials_wrong"),
      "the record of the refusal",
    );
    expect(record).toMatchObject({ status: 407, stage: "authenticate" });
  });
});

function describeWay(way: string): string {
  return way === "direct" ? "directly" : `through ${way === "penstock" ? "another Penstock" : way}`;
}

for (const { way, needs: upstream } of ways) {
  // Dante's server knows no users but those of the system.
  if (way === "direct" || way === "danted") continue;
  needs(
    "curl",
    ...upstream,
    "node",
    "openssl",
  )(`the ${way} of these tests serves nobody without credentials`, async () => {
    const { code, stderr } = await runProgram([
      "curl",
      "-sS",
      "-x",
      stand.upstreamUrl(way),
      `${stand.origin.url}/hello`,
    ]);
    // 56: a tunnel was refused; 97: a SOCKS proxy did.
    expect({ way, code, stderr }).toEqual({ way, code: way === "microsocks" ? 97 : 56, stderr: expect.any(String) });
  });
}

needs(
  "git",
  "node",
  "openssl",
)("git clones and pushes through Penstock and another one", async () => {
  const { origin, proxyUrl } = stand;
  await using work = await makeFolder();
  const env = gitEnvironment(work.path);
  const options = ["-c", `http.proxy=${proxyUrl("penstock")}`, "-c", `http.sslCAInfo=${origin.caFile}`];
  const git = (cwd: string, ...args: string[]) => expectProgram(["git", ...options, ...args], { cwd, env });
  await git(work.path, "clone", "-q", `${origin.url}/git/project.git`, "copy");
  const copy = join(work.path, "copy");
  expect(await Bun.file(join(copy, "big")).bytes()).toEqual(bigFile);
  await Bun.write(join(copy, "new"), "pushed");
  await git(copy, "add", "new");
  await git(copy, "commit", "-q", "-m", "Add a file");
  await git(copy, "push", "-q", "origin", "main");
  const bare = join(repositories.path, "project.git");
  expect(await expectProgram(["git", "--git-dir", bare, "show", "main:new"])).toBe("pushed");
});

/** Too big for one read, and not to be compressed. */
const bigFile = crypto.getRandomValues(new Uint8Array(60_000));

/** A bare repository with a commit in it. */
async function makeRepository(folder: string): Promise<void> {
  const env = gitEnvironment(folder);
  const work = join(folder, "work");
  const git = (cwd: string, ...args: string[]) => expectProgram(["git", ...args], { cwd, env });
  await git(folder, "init", "-q", "-b", "main", "work");
  await Bun.write(join(work, "big"), bigFile);
  await git(work, "add", "big");
  await git(work, "commit", "-q", "-m", "Begin");
  await git(folder, "clone", "-q", "--bare", "work", "project.git");
}
