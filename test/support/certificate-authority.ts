import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Certificate } from "./certificate.ts";

/** What a certificate is for. Dates are `YYYYMMDDHHMMSSZ`. */
export interface Leaf {
  readonly names?: readonly string[];
  readonly from?: string;
  readonly to?: string;
}

/** An authority of a test's own: signs certificates with the system's openssl, and cleans up after itself. */
export interface CertificateAuthority extends AsyncDisposable {
  /** PEM of its own certificate, for `ca`. */
  readonly cert: string;
  /** PEM of its own private key. */
  readonly key: string;
  issue(leaf?: Leaf): Promise<Certificate>;
}

const LONG_AGO = "20200101000000Z";
const FAR_OFF = "20480101000000Z";

const config = `
[ca]
default_ca = test
[test]
database = index.txt
new_certs_dir = .
serial = serial
default_md = sha256
policy = anything
unique_subject = no
[anything]
commonName = supplied
`;

export async function makeAuthority(): Promise<CertificateAuthority> {
  const folder = await mkdtemp(join(tmpdir(), "penstock-ca-"));
  const read = (file: string) => Bun.file(join(folder, file)).text();
  const run = (...args: string[]) => {
    const made = Bun.spawnSync(["openssl", ...args], { cwd: folder, stderr: "pipe" });
    if (made.exitCode !== 0) throw new Error(`openssl ${args[0]} failed: ${made.stderr.toString()}`);
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await Promise.all([
    writeFile(join(folder, "ca.conf"), config),
    writeFile(join(folder, "index.txt"), ""),
    writeFile(join(folder, "serial"), "1000\n"),
  ]);
  run("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "3650", "-subj", "/CN=Test Authority");
  let issued = 0;
  return {
    cert: await read("ca.pem"),
    key: await read("ca.key"),
    async issue({ names = ["DNS:localhost", "IP:127.0.0.1"], from = LONG_AGO, to = FAR_OFF } = {}) {
      issued += 1;
      const name = `leaf${issued}`;
      await writeFile(join(folder, `${name}.ext`), `subjectAltName=${names.join(",")}\n`);
      run("req", "-new", ...key, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", "/CN=test");
      const by = ["-config", "ca.conf", "-cert", "ca.pem", "-keyfile", "ca.key"];
      const when = ["-startdate", from, "-enddate", to];
      run(
        "ca",
        "-batch",
        "-notext",
        ...by,
        ...when,
        "-extfile",
        `${name}.ext`,
        "-in",
        `${name}.csr`,
        "-out",
        `${name}.pem`,
      );
      return { cert: await read(`${name}.pem`), key: await read(`${name}.key`) };
    },
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true });
    },
  };
}
