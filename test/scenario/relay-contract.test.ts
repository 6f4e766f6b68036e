import { relay } from "../../src/proxy/tunnel/relay.ts";
import { describeTunnelContract } from "./tunnel-contract.ts";

describeTunnelContract("relay", relay);
