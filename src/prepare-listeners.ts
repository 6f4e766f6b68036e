import type { AcmePlan } from "./acme/acme-plan.ts";
import type { CompiledConfig } from "./config/compile.ts";
import { isLoopbackHost } from "./config/listener-address.ts";
import type { Gate } from "./gate/gate.ts";
import { formatListener, type ListenPlan } from "./gate/listeners.ts";
import type { InheritedSockets } from "./net/inherited-sockets.ts";
import type { TlsContexts } from "./net/runtime/tls-contexts.ts";
import { createListenerTls, type ListenerTls } from "./proxy/accept/listener-tls.ts";

/** A listener to open. */
export type ListenerPlan = ListenPlan & { readonly tls?: ListenerTls; readonly acme?: AcmePlan };

type PreparedListeners =
  | {
      readonly ok: true;
      readonly plans: readonly ListenerPlan[];
      /** Puts the certificates of listeners that keep their address into effect. */
      commit(): void;
    }
  | { readonly ok: false; readonly message: string };

/** What listeners may get besides new sockets and new TLS objects. */
interface Given {
  /** Those in use: a listener at the address of one of them keeps its TLS object. */
  readonly before?: readonly ListenerPlan[];
  /** Of all listeners of the process. */
  readonly contexts: TlsContexts;
  /** A listener with a name gets the socket of that name. */
  readonly inherited: InheritedSockets | undefined;
}

/** Loads the certificates of each listener, and finds the socket of its name where a service manager passed one. */
export function prepareListeners(
  { listeners }: Pick<CompiledConfig, "listeners">,
  { before = [], contexts, inherited }: Given,
): PreparedListeners {
  const plans: ListenerPlan[] = [];
  const commits: (() => void)[] = [];
  const unused = [...before];
  for (const { tls: plan, name, ...configured } of listeners) {
    const passed = name === undefined ? undefined : inherited?.locate(name);
    const listener = { ...configured, ...passed };
    // Whether users are needed was judged by the address in the configuration.
    if (passed && isLoopbackHost(configured.host) && !isLoopbackHost(passed.host)) {
      const [theirs, ours] = [
        formatListener(passed.host, passed.port),
        formatListener(configured.host, configured.port),
      ];
      const message = `Cannot use the socket ${JSON.stringify(name)} of the service manager: it listens on ${theirs}, and the listener of that name is on loopback (${ours}). Set the "host" of the listener to that of the socket.`;
      return { ok: false, message };
    }
    const at = unused.findIndex(({ host, port }) => host === listener.host && port === listener.port);
    const [kept] = at < 0 ? [] : unused.splice(at, 1);
    if (plan === undefined) {
      plans.push(listener);
    } else if (kept?.tls !== undefined) {
      const prepared = kept.tls.prepare(plan);
      if (!prepared.ok) return prepared;
      commits.push(() => prepared.commit());
      plans.push({ ...listener, tls: kept.tls });
    } else {
      const made = createListenerTls(plan, contexts);
      if (!made.ok) return made;
      plans.push({ ...listener, tls: made.tls });
    }
  }
  return {
    ok: true,
    plans,
    commit() {
      for (const commit of commits) commit();
    },
  };
}

/** When the certificates of each open listener expire, by the name of the listener. */
export function listCertificates({ listeners }: Gate, plans: readonly ListenerPlan[]) {
  return plans.flatMap(({ tls }, at) => {
    const listener = listeners?.[at]?.name;
    if (tls === undefined || listener === undefined || tls.certificates.length === 0) return [];
    return [{ listener, expiresAt: tls.expiresAt }];
  });
}

/** Says why a listener could not be bound, and what to do. `code` is the errno word; `leaving`, a listener of ours that has the port. */
export function explainBinding({ host, port }: ListenPlan, code: string, leaving?: { readonly name: string }): string {
  const problem = `Cannot listen on ${formatListener(host, port)}: `;
  if (leaving !== undefined)
    return `${problem}the port is in use. The listener on ${leaving.name}, which this configuration does not have, may be what uses it: take it out in one reload, and add the new one in the next.`;
  switch (code) {
    case "EADDRINUSE":
      return `${problem}the port is in use. Stop what uses it, or set "listen" (--listen) to another.`;
    case "EACCES":
      return `${problem}the system does not allow it. Set "listen" (--listen) to a port above 1023, or give the program CAP_NET_BIND_SERVICE.`;
    case "EADDRNOTAVAIL":
      return `${problem}this machine has no such address. Set "listen" (--listen) to one that it has.`;
    default:
      return `${problem}the system says ${code}. Set "listen" (--listen) to another address.`;
  }
}
