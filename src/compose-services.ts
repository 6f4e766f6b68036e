import type { Resolver } from "./net/dns/resolver.ts";
import { createSystemResolver } from "./net/dns/system-resolver.ts";
import { SpareDescriptors } from "./net/libc/spare-descriptors.ts";
import { ClientProfiles } from "./protocol/tls/read/client-profiles.ts";
import { OwnAddresses } from "./proxy/accept/own-addresses.ts";
import { Forwarding } from "./proxy/exchange/forwarding.ts";
import { Admission } from "./proxy/limit/admission.ts";
import { clientKey } from "./proxy/limit/client-key.ts";
import { Lingering } from "./proxy/read/lingering.ts";
import type { AccessLog } from "./proxy/record/access-log.ts";
import { Captures } from "./proxy/record/captures.ts";
import { LiveTable } from "./proxy/record/live-table.ts";
import { Metrics } from "./proxy/record/metrics.ts";
import { createRecorder } from "./proxy/record/recorder.ts";
import { type Runtime, RuntimeHolder } from "./proxy/runtime.ts";
import type { Services } from "./proxy/services.ts";
import { version } from "./version.ts";

/** What one proxy of this process does not share with another, and what it is given. */
export interface ServicesPlan extends Pick<Services, "listen" | "connect" | "tunnel" | "reportBug" | "reportHook"> {
  readonly runtime: Runtime;
  readonly accessLog: AccessLog;
  /** The system's resolver when absent. */
  readonly resolver?: Resolver | undefined;
}

/** The services of one proxy, and what they write to. */
export interface ComposedServices {
  readonly services: Services;
  readonly metrics: Metrics;
  readonly live: LiveTable;
  readonly descriptors: SpareDescriptors;
}

/** Makes the services that the connections of one proxy share. */
export function composeServices({ runtime, accessLog, resolver, ...given }: ServicesPlan): ComposedServices {
  const metrics = new Metrics();
  const forwarding = new Forwarding();
  const live = new LiveTable(forwarding.exchanges);
  const descriptors = new SpareDescriptors();
  const admission = new Admission(descriptors);
  const holder = new RuntimeHolder(runtime);
  const services: Services = {
    ...given,
    runtime: holder,
    admission,
    recorder: createRecorder({ accessLog, metrics, live, reportBug: given.reportBug }),
    resolver:
      resolver ??
      createSystemResolver({
        // A kept connection may lead to where its name has led before.
        changed: () => forwarding.origins.clear(),
        nameClient: (client) => clientKey(client, holder.current.limits.clientPrefix),
      }),
    forwarding,
    lingering: new Lingering(admission, descriptors),
    clientProfiles: new ClientProfiles(),
    captures: new Captures({ application: `Penstock ${version}` }),
    own: new OwnAddresses(),
    draining: false,
  };
  return { services, metrics, live, descriptors };
}

/** Ends every connection of a proxy. The last records follow within some turns of the event loop. */
export function abortConnections({ services, live }: ComposedServices): void {
  live.killAll();
  services.forwarding.abort();
  services.lingering.abort();
}
