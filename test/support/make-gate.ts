import { AddressSet } from "../../src/address/address-set.ts";
import { Gate, type GateOptions } from "../../src/gate/gate.ts";
import type { Connect } from "../../src/net/runtime/connect.ts";
import type { Listener } from "../../src/proxy/accept/listener.ts";
import { AccessLog } from "../../src/proxy/record/access-log.ts";
import type { Runtime } from "../../src/proxy/runtime.ts";
import { createFakeResolver } from "./fake-resolver.ts";
import { plentyOfDescriptors } from "./plenty-of-descriptors.ts";

/** A listener for HTTP in clear. */
export const plainListener: Listener = {
  name: "listener",
  protocols: new Set(["http"] as const),
  proxyFrom: new AddressSet([]),
  tls: undefined,
};

/** A gate without sockets: nothing is connected to unless the test says how, and what is not expected throws. */
export function makeGate(
  runtime: Runtime,
  { connect, ...options }: Partial<GateOptions> & { readonly connect?: Connect } = {},
): Gate {
  return new Gate({
    runtime,
    sockets: {
      listen: () => ({ ok: false, code: "EPERM" }),
      connect:
        connect ??
        (() => {
          throw new Error("No connection is to be made");
        }),
      close: () => {},
    },
    tunnel: () => {
      throw new Error("No tunnel is to be opened");
    },
    descriptors: plentyOfDescriptors,
    accessLog: new AccessLog({ format: "off", sink: () => {} }),
    application: "test",
    resolver: createFakeResolver({}),
    reportBug: (error) => {
      throw error;
    },
    reportHook: () => {},
    ...options,
  });
}
