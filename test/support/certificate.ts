import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Makes a self-signed certificate for localhost and 127.0.0.1 with the system's openssl. */
export async function makeCertificate(names = ["DNS:localhost", "IP:127.0.0.1"]): Promise<Certificate> {
  const folder = await mkdtemp(join(tmpdir(), "penstock-cert-"));
  try {
    const made = Bun.spawnSync(
      [
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
        ["-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=localhost"],
        ["-addext", `subjectAltName=${names.join(",")}`],
      ].flat(),
      { cwd: folder, stderr: "pipe" },
    );
    if (made.exitCode !== 0) throw new Error(`openssl failed: ${made.stderr.toString()}`);
    const [cert, key] = await Promise.all([
      Bun.file(join(folder, "cert.pem")).text(),
      Bun.file(join(folder, "key.pem")).text(),
    ]);
    return { cert, key };
  } finally {
    await rm(folder, { recursive: true });
  }
}
