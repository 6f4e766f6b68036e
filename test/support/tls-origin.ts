import { join } from "node:path";
import { makeCertificate } from "./certificate.ts";
import { startProgram } from "./program.ts";
import { makeFolder } from "./temporary-folder.ts";

/** A real TLS server of Node.js on a free loopback port; see tls-origin.mjs for what it answers. */
export interface TlsOrigin extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** PEM file of the certificate that it shows, for clients to trust. */
  readonly caFile: string;
}

/** Starts it; `repositories` is a folder of bare Git repositories to serve below `/git/`. */
export async function startTlsOrigin(repositories?: string): Promise<TlsOrigin> {
  const { cert, key } = await makeCertificate();
  const folder = await makeFolder({ "cert.pem": cert, "key.pem": key });
  const caFile = join(folder.path, "cert.pem");
  const script = join(import.meta.dir, "tls-origin.mjs");
  const server = startProgram([
    "node",
    script,
    caFile,
    join(folder.path, "key.pem"),
    ...(repositories === undefined ? [] : [repositories]),
  ]);
  const port = Number((await server.untilTold("Listening on ")).split(" ").at(-1));
  return {
    url: `https://127.0.0.1:${port}`,
    port,
    caFile,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}
