import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What `openssl s_client` told of one handshake. */
export interface SClientRun {
  /** Everything it wrote, both streams. */
  readonly text: string;
  /** `New` or `Reused`; undefined when the handshake failed. */
  readonly session: string | undefined;
  readonly cipher: string | undefined;
  readonly alpn: string | undefined;
  /** The common name of the server's certificate. */
  readonly subject: string | undefined;
  /** The alert that it received, in OpenSSL's words. */
  readonly alert: string | undefined;
}

/** A folder in which `openssl s_client` runs, with what it keeps between runs. */
export interface SClient extends AsyncDisposable {
  write(files: Readonly<Record<string, string>>): Promise<void>;
  /** Shakes hands with a loopback port, sends `input`, waits for `until` in what it writes, or for its end, and ends it. */
  run(port: number, args: readonly string[], until?: string, input?: string): Promise<SClientRun>;
}

export async function prepareSClient(): Promise<SClient> {
  const folder = await mkdtemp(join(tmpdir(), "penstock-s-client-"));
  return {
    async write(files) {
      await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(folder, name), text)));
    },
    async run(port, args, until, input) {
      const child = Bun.spawn(["openssl", "s_client", "-connect", `127.0.0.1:${port}`, ...args], {
        cwd: folder,
        stdin: "pipe",
        stdout: "pipe",
        stderr: "pipe",
      });
      if (input !== undefined) await child.stdin.write(input);
      let out = "";
      const reading = (async () => {
        for await (const chunk of child.stdout) {
          out += Buffer.from(chunk).toString("latin1");
          if (until !== undefined && out.includes(until)) await child.stdin.end();
        }
      })();
      if (until === undefined) await child.stdin.end();
      const errors = await new Response(child.stderr).text();
      await reading;
      await child.exited;
      return describeRun(out, errors);
    },
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true });
    },
  };
}

function describeRun(out: string, errors: string): SClientRun {
  const handshake = /^(New|Reused), TLSv1\.\d, Cipher is (\S+)/m.exec(out);
  return {
    text: out + errors,
    session: handshake?.[1],
    cipher: handshake?.[2],
    alpn: /^ALPN protocol: (.+)$/m.exec(out)?.[1],
    subject: /^subject=.*CN = ([^,\n]+)/m.exec(out)?.[1],
    alert: /(?:tlsv1|tlsv13|sslv3) alert ([a-z ]+)/.exec(errors)?.[1],
  };
}
