import type { AcmePlan } from "../acme/acme-plan.ts";
import type { Listener } from "../proxy/accept/listener.ts";
import type { TlsPlan } from "../proxy/accept/listener-tls.ts";
import { compileAcme } from "./compile-acme.ts";
import { compileAddressSet } from "./compile-policy.ts";
import { compileTls, findMissingIssuers, followTlsFiles, type TlsFiles } from "./compile-tls.ts";
import { type ListenerAddress, parseListenerAddress } from "./listener-address.ts";
import type { Materials } from "./materials.ts";
import { type Problem, readAccepted } from "./problem.ts";
import type { Config } from "./schema.ts";

/** Where and how to listen. */
export interface CompiledListener extends ListenerAddress, Pick<Listener, "protocols" | "proxyFrom"> {
  /** The name of the socket that a service manager passes. */
  readonly name?: string;
  /** Certificates and client authorities of a TLS listener. */
  readonly tls?: TlsPlan;
  /** How its certificate is ordered. */
  readonly acme?: AcmePlan;
}

/** Compiles the listeners. Reports certificates and keys that cannot be used, and warns of files without the issuer. */
export function compileListeners(
  listen: Config["listen"],
  materials: Materials,
): { listeners: CompiledListener[]; tlsFiles: TlsFiles[]; problems: Problem[]; warnings: Problem[] } {
  const listeners: CompiledListener[] = [];
  const tlsFiles: TlsFiles[] = [];
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  for (const [at, written] of listen.entries()) {
    const { tls, protocols, proxyProtocol, name, ...address } =
      typeof written === "object" ? written : fillIn(String(written));
    const plan = tls && compileTls(tls, ["listen", at, "tls"], materials);
    if (plan?.ok === false) problems.push(...plan.problems);
    const acme = tls && "acme" in tls ? compileAcme(tls.acme, ["listen", at, "tls", "acme"], materials) : undefined;
    if (acme) problems.push(...acme.problems);
    listeners.push({
      ...address,
      ...(name !== undefined && { name }),
      protocols: new Set(protocols),
      proxyFrom: compileAddressSet(proxyProtocol),
      ...(plan?.ok && { tls: plan.value }),
      ...(acme && { acme: acme.plan }),
    });
    if (!tls || !plan?.ok) continue;
    tlsFiles.push(followTlsFiles(tls, at, plan.value, materials));
    warnings.push(...findMissingIssuers(plan.value, ["listen", at, "tls"]));
  }
  // Listeners may share a file.
  const isFirst = ({ message }: Problem, at: number) => warnings.findIndex((each) => each.message === message) === at;
  return { listeners, tlsFiles, problems, warnings: warnings.filter(isFirst) };
}

/** A lone address or port, with the defaults of the other settings. */
function fillIn(text: string): Exclude<Config["listen"][number], string | number> {
  const address = readAccepted(parseListenerAddress(text));
  return { ...address, protocols: ["http", "socks5", "socks4"], proxyProtocol: [] };
}
