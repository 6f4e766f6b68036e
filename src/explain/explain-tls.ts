import { X509Certificate } from "node:crypto";
import type { CompiledConfig } from "../config/compile.ts";
import { formatListener } from "../gate/listeners.ts";
import type { Fact } from "./explain-fact.ts";

const DAY_MS = 86_400_000;

/** What clients of listeners with TLS are shown: one fact for each certificate. */
export function explainTls({ listeners }: Pick<CompiledConfig, "listeners">, now: number): Fact[] {
  return listeners.flatMap(({ host, port, tls, acme }) => {
    if (tls === undefined) return [];
    const listener = formatListener(host, port);
    const { clients } = tls;
    const asks = clients === undefined ? "" : `; clients ${clients.required ? "need" : "may show"} a certificate`;
    const fact = (says: string, more: Readonly<Record<string, unknown>>): Fact => ({
      name: "tls",
      value: `${listener} ${says}${asks}`,
      more: { listener, ...more, ...(clients && { client_certificate: clients.required ? "required" : "optional" }) },
    });
    const ordered =
      acme && fact(`has a certificate for ${acme.names.join(", ")} by ACME`, { names: acme.names, acme: true });
    const shown = tls.certificates.map(({ file, cert, expiresAt }) => {
      const names = listNames(cert);
      const until = new Date(expiresAt).toISOString();
      const days = Math.floor((expiresAt - now) / DAY_MS);
      return fact(
        `shows ${file} for ${names.join(", ") || "no name"}, valid until ${until.slice(0, 10)} (${days} days)`,
        {
          file,
          names,
          until,
          days,
        },
      );
    });
    return ordered === undefined ? shown : [ordered, ...shown];
  });
}

/** The names and addresses that clients compare (RFC 9525): of the first certificate of the file. */
function listNames(pem: string): string[] {
  const { subjectAltName = "" } = new X509Certificate(pem);
  return [...subjectAltName.matchAll(/(?:^|, )(?:DNS|IP Address):([^",]+)/g)].map(([, name = ""]) => name);
}
