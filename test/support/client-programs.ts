import { join } from "node:path";
import type { ClientStand, Way } from "./client-stand.ts";
import { python } from "./needs.ts";
import { runAtTerminal, type SshServer } from "./open-ssh.ts";
import { type Ran, runProgram } from "./program.ts";

/** What a client program finds when it gets through. */
export interface Destinations {
  readonly stand: ClientStand;
  readonly ssh: SshServer | undefined;
  /** `ws://` URL of a server that sends messages back. */
  readonly websocketUrl: string;
}

/** A program that people use with a proxy, and how it is told to use one. */
export interface ClientProgram {
  readonly name: string;
  readonly needs: readonly string[];
  /** A piece of what it prints when it got through. */
  readonly prints: string;
  run(destinations: Destinations, way: Way, password: string): Promise<Ran>;
}

const scripts = join(import.meta.dir, "../client/programs");

function runPython(name: string, url: (destinations: Destinations) => string): ClientProgram["run"] {
  return (destinations, way, password) => {
    const { proxy, origin, user } = destinations.stand;
    return runProgram([
      [python, join(scripts, "clients.py"), name, String(proxy.port), user(way).username, password],
      [url(destinations), origin.caFile],
    ]);
  };
}

const helloUrl = ({ stand }: Destinations): string => `${stand.origin.url}/hello`;

/** Each asks for Basic credentials to be sent and prints what it got. */
export const clientPrograms: readonly ClientProgram[] = [
  {
    name: "curl",
    needs: ["curl"],
    prints: "hello from the origin",
    run({ stand: { proxy, origin, user } }, way, password) {
      return runProgram([
        ["curl", "-sS", "--fail", "--max-time", "20", "--cacert", origin.caFile],
        ["-x", `http://127.0.0.1:${proxy.port}`, "-U", `${user(way).username}:${password}`, `${origin.url}/hello`],
      ]);
    },
  },
  {
    name: "openssl s_client",
    needs: ["openssl"],
    prints: "hello from the origin",
    run({ stand: { proxy, origin, user } }, way, password) {
      return runProgram(
        [
          ["openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", origin.caFile],
          ["-proxy", `127.0.0.1:${proxy.port}`, "-proxy_user", user(way).username],
          ["-proxy_pass", `pass:${password}`, "-connect", `127.0.0.1:${origin.port}`],
        ],
        { input: "GET /hello HTTP/1.0\r\n\r\n" },
      );
    },
  },
  {
    name: "wget",
    needs: ["wget"],
    prints: "hello from the origin",
    run({ stand: { proxy, origin, user, folder } }, way, password) {
      return runProgram(
        [
          ["wget", "-nv", "-O", "-", "--tries=1", "--timeout=20", `--ca-certificate=${origin.caFile}`],
          [`--proxy-user=${user(way).username}`, `--proxy-password=${password}`, `${origin.url}/hello`],
        ],
        { env: { https_proxy: `http://127.0.0.1:${proxy.port}`, HOME: folder } },
      );
    },
  },
  {
    name: "git",
    needs: ["git"],
    prints: "refs/heads/main",
    run({ stand: { proxyUrl, origin, folder } }, way, password) {
      return runProgram(
        [
          ["git", "-c", `http.proxy=${proxyUrl(way, password)}`, "-c", `http.sslCAInfo=${origin.caFile}`],
          ["ls-remote", `${origin.url}/git/project.git`],
        ],
        { env: gitEnvironment(folder) },
      );
    },
  },
  {
    name: "undici's ProxyAgent in Node.js",
    needs: ["node"],
    prints: "hello from the origin",
    run({ stand: { proxy, origin, user } }, way, password) {
      return runProgram([
        ["node", join(scripts, "fetch-undici.mjs"), `http://127.0.0.1:${proxy.port}`, user(way).username, password],
        [`${origin.url}/hello`, origin.caFile],
      ]);
    },
  },
  {
    name: "fetch in Bun",
    needs: [],
    prints: "hello from the origin",
    async run({ stand: { origin, proxyUrl } }, way, password) {
      const ca = await Bun.file(origin.caFile).text();
      const proxy = proxyUrl(way, password);
      const response = await fetch(`${origin.url}/hello`, { proxy, tls: { ca }, keepalive: false });
      return { code: response.ok ? 0 : 1, stdout: await response.text(), stderr: "" };
    },
  },
  {
    name: "Python's http.client",
    needs: ["python3"],
    prints: "hello from the origin",
    run: runPython("http.client", helloUrl),
  },
  {
    name: "Python's requests",
    needs: ["python3-requests"],
    prints: "hello from the origin",
    run: runPython("requests", helloUrl),
  },
  {
    name: "Python's websocket-client",
    needs: ["python3-websocket"],
    prints: "hello over the websocket",
    run: runPython("websocket", ({ websocketUrl }) => websocketUrl),
  },
  {
    name: "OpenSSH with nc -X connect",
    needs: ["ssh", "sshd", "ssh-keygen", "nc"],
    prints: "hello from the shell",
    run({ stand: { proxy, user }, ssh }, way, password) {
      if (ssh === undefined) throw new Error("There is no sshd");
      const command = `nc -X connect -x 127.0.0.1:${proxy.port} -P ${user(way).username} %h %p`;
      // nc asks for the password where the person is: at the terminal.
      return runAtTerminal(
        ["ssh", ssh.clientArgs, "-o", `ProxyCommand=${command}`, ssh.login, "echo hello from the shell"],
        "Proxy password for",
        password,
      );
    },
  },
];

/** Git with nobody's configuration, who asks no questions. */
export function gitEnvironment(home: string): Record<string, string> {
  return {
    HOME: home,
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_TERMINAL_PROMPT: "0",
    GIT_AUTHOR_NAME: "Ann",
    GIT_AUTHOR_EMAIL: "ann@example.com",
    GIT_COMMITTER_NAME: "Ann",
    GIT_COMMITTER_EMAIL: "ann@example.com",
  };
}
