import { relay } from "../../src/proxy/flow/relay.ts";
import { connectDescriptorPair, describeTunnelContract, descriptorEnds } from "./tunnel-contract.ts";

describeTunnelContract("relay", relay);
describeTunnelContract("relay, over descriptors", relay, descriptorEnds);
describeTunnelContract("relay, from a descriptor to a socket of the runtime", relay, { client: connectDescriptorPair });
