import { findFreePort } from "../bench/peer.ts";
import { makeAuthority } from "./certificate-authority.ts";
import { type RunningProgram, startProgram } from "./program.ts";
import { makeFolder } from "./temporary-folder.ts";
import { untilServing } from "./upstream-programs.ts";

/** Debian's Pebble, the ACME server for tests, with name servers that lead every name to loopback. */
export interface Pebble extends AsyncDisposable {
  /** URL of its directory. */
  readonly directory: string;
  /** PEM of the authority of its own TLS. */
  readonly ca: string;
  /** Ports that it connects to for `http-01` and for `tls-alpn-01`. */
  readonly httpPort: number;
  readonly tlsPort: number;
  /** PEM of the root of the certificates that it issues. */
  readRoot(): Promise<string>;
  /** Asks the name servers for something: `set-txt`, `clear-txt`. */
  manageNames(path: string, body: object): Promise<void>;
  /** Ends it, and starts it again without its accounts and orders. */
  restart(): Promise<void>;
}

export interface PebbleOptions {
  /** Percent of nonces that it refuses. */
  readonly badNonces?: number;
  /** Keys of accounts elsewhere, by their identifier; then every account needs one. */
  readonly externalKeys?: Readonly<Record<string, string>>;
}

export async function openPebble({ badNonces = 5, externalKeys }: PebbleOptions = {}): Promise<Pebble> {
  await using authority = await makeAuthority();
  const { cert, key } = await authority.issue({ names: ["DNS:localhost", "IP:127.0.0.1"] });
  const [port, management, names, namesManagement, httpPort, tlsPort] = Array.from({ length: 6 }, () => findFreePort());
  if (httpPort === undefined || tlsPort === undefined) throw new Error("No ports");
  const folder = await makeFolder({
    "cert.pem": cert,
    "key.pem": key,
    "pebble.json": {
      pebble: {
        listenAddress: `127.0.0.1:${port}`,
        managementListenAddress: `127.0.0.1:${management}`,
        certificate: "cert.pem",
        privateKey: "key.pem",
        httpPort,
        tlsPort,
        externalAccountBindingRequired: externalKeys !== undefined,
        ...(externalKeys && { externalAccountMACKeys: externalKeys }),
      },
    },
  });
  const start = async (): Promise<RunningProgram> => {
    const program = startProgram(["pebble", "-config", "pebble.json", "-dnsserver", `127.0.0.1:${names}`], {
      cwd: folder.path,
      env: { PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: String(badNonces), PEBBLE_AUTHZREUSE: "0" },
    });
    await untilServing(port ?? 0, program);
    return program;
  };
  const nameServer = startProgram([
    "pebble-challtestsrv",
    ["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01", `127.0.0.1:${names}`],
    ["-management", `127.0.0.1:${namesManagement}`, "-http01", "", "-https01", "", "-tlsalpn01", ""],
  ]);
  await untilServing(namesManagement ?? 0, nameServer);
  let program = await start();
  return {
    directory: `https://127.0.0.1:${port}/dir`,
    ca: authority.cert,
    httpPort,
    tlsPort,
    async readRoot() {
      const answer = await fetch(`https://127.0.0.1:${management}/roots/0`, { tls: { ca: authority.cert } });
      return answer.text();
    },
    async manageNames(path, body) {
      const answer = await fetch(`http://127.0.0.1:${namesManagement}/${path}`, {
        method: "POST",
        body: JSON.stringify(body),
      });
      if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    },
    async restart() {
      await program[Symbol.asyncDispose]();
      program = await start();
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([program[Symbol.asyncDispose](), nameServer[Symbol.asyncDispose]()]);
      await folder[Symbol.asyncDispose]();
    },
  };
}
