import { checkServerIdentity, type PeerCertificate, rootCertificates } from "node:tls";

/** How to verify a server that is reached under an address of its own choice. */
export interface ServerTrust {
  /** PEM texts of authorities, beside the public ones unless `only`. */
  readonly ca: readonly string[];
  readonly only: boolean;
  /** Names and addresses one of which its certificate has to have; the host of the URL will do, too. */
  readonly names: readonly string[];
  /** The certificate to show, as PEM texts. */
  readonly client?: { readonly cert: string; readonly key: string };
}

/** The options of `fetch` for that. */
export function createFetchTls({ ca, only, names, client }: ServerTrust): BunFetchRequestInitTLS {
  return {
    ca: only ? [...ca] : [...rootCertificates, ...ca],
    checkServerIdentity(host: string, certificate: PeerCertificate) {
      const fault = checkServerIdentity(host, certificate);
      if (fault === undefined) return undefined;
      // Any name stands for the star of a pattern.
      const isOurs = names.some((name) => checkServerIdentity(name.replace(/^\*/, "any"), certificate) === undefined);
      return isOurs ? undefined : fault;
    },
    ...client,
  };
}
