import { afterAll, beforeAll, describe, expect } from "bun:test";
import { type ClientStand, startClientStand, ways } from "../support/client-stand.ts";
import { type ServingExecutable, startExecutable } from "../support/executable.ts";
import { isInstalled, needs } from "../support/needs.ts";
import { type SshServer, startSshd } from "../support/open-ssh.ts";
import { runProgram } from "../support/program.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { reserveClosedPort } from "../support/unreachable.ts";
import { waitFor } from "../support/wait-for.ts";

let stack: AsyncDisposableStack;
/** With users. */
let stand: ClientStand;
/** Without. */
let open: ServingExecutable;
let ssh: SshServer | undefined;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  stand = stack.use(await startClientStand());
  const folder = stack.use(
    await makeFolder({
      "proxy.config.json": {
        listen: ["127.0.0.1:0"],
        rules: [{ name: "loopback", to: ["127.0.0.1", "localhost"], allowPrivate: true }],
      },
    }),
  );
  open = stack.use(await startExecutable({ cwd: folder.path }));
  if (["sshd", "ssh-keygen"].every(isInstalled)) ssh = stack.use(await startSshd());
});
afterAll(() => stack.disposeAsync());

function curl(flag: string, port: number, url: string, ...more: string[]) {
  const { caFile } = stand.origin;
  return runProgram(["curl", "-sS", "--fail", "--cacert", caFile, flag, `127.0.0.1:${port}`, ...more, url]);
}

/** What curl says of a proxy that refused. */
const PROXY_REFUSED = 97;

/** The ways of curl to speak SOCKS, and what reaches Penstock: an address, or the name. */
const kinds = [
  { flag: "--socks5", protocol: "socks5", host: "127.0.0.1" },
  { flag: "--socks5-hostname", protocol: "socks5", host: "localhost" },
  { flag: "--socks4", protocol: "socks4", host: "127.0.0.1" },
  { flag: "--socks4a", protocol: "socks4", host: "localhost" },
] as const;

describe.each([...kinds])("curl $flag", ({ flag, protocol, host }) => {
  const url = () => `https://${host}:${stand.origin.port}/hello`;

  needs(
    "curl",
    "node",
    "openssl",
  )("gets through where nobody is asked for credentials", async () => {
    expect(await curl(flag, open.port, url())).toMatchObject({ code: 0, stdout: "hello from the origin\n" });
    const target = `${host}:${stand.origin.port}`;
    const record = await open.record((each) => each["protocol"] === protocol && each["target"] === target);
    expect(record).toMatchObject({ rule: "loopback", status: 200 });
  });

  needs(
    "curl",
    "node",
    "openssl",
  )("is refused without a user where there are users", async () => {
    expect((await curl(flag, stand.proxy.port, url())).code).toBe(PROXY_REFUSED);
  });

  needs("curl")("is told when nobody listens at the target", async () => {
    const { code, stderr } = await curl(flag, open.port, `https://${host}:${await reserveClosedPort()}/`);
    expect(code).toBe(PROXY_REFUSED);
    // SOCKS4 knows no reasons.
    expect(stderr).toContain(protocol === "socks5" ? "(5)" : "rejected");
  });
});

describe("curl --socks5-hostname with a user", () => {
  for (const { way, needs: upstream } of ways) {
    needs(
      "curl",
      ...upstream,
      "node",
      "openssl",
    )(`gets through, way ${way}`, async () => {
      const { username, password } = stand.user(way);
      const before = stand.tunnels(way).length;
      const url = `https://localhost:${stand.origin.port}/hello`;
      const ran = await curl("--socks5-hostname", stand.proxy.port, url, "--proxy-user", `${username}:${password}`);
      expect(ran).toMatchObject({ code: 0, stdout: "hello from the origin\n" });
      const record = await waitFor(() => stand.tunnels(way)[before], "the record of the tunnel");
      expect(record).toMatchObject({ protocol: "socks5", user: username, route: way });
    });
  }

  needs(
    "curl",
    "node",
    "openssl",
  )("gets nowhere with a wrong password", async () => {
    const url = `https://localhost:${stand.origin.port}/hello`;
    const ran = await curl("--socks5-hostname", stand.proxy.port, url, "--proxy-user", "via-direct:guessed");
    expect(ran.code).toBe(PROXY_REFUSED);
    await stand.proxy.record(({ protocol, detail }) => protocol === "socks5" && detail === "credentials_wrong");
  });
});

needs(
  "curl",
  "node",
  "openssl",
)("curl --socks4 gets nowhere with a user name, which nothing vouches for", async () => {
  const ran = await curl("--socks4", stand.proxy.port, `${stand.origin.url}/hello`, "--proxy-user", "via-direct:");
  expect(ran.code).toBe(PROXY_REFUSED);
});

describe.each(["4", "5"])("OpenSSH with nc -X %s", (version) => {
  needs(
    "ssh",
    "sshd",
    "ssh-keygen",
    "nc",
  )("gets through", async () => {
    if (ssh === undefined) throw new Error("There is no sshd");
    const command = `ProxyCommand=nc -X ${version} -x 127.0.0.1:${open.port} %h %p`;
    const ran = await runProgram(["ssh", ...ssh.clientArgs, "-o", command, ssh.login, "cat"], { input: "through" });
    expect(ran).toMatchObject({ code: 0, stdout: "through" });
    const target = `127.0.0.1:${ssh.port}`;
    await open.record((each) => each["protocol"] === `socks${version}` && each["target"] === target);
  });
});
