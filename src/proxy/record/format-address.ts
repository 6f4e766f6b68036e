import { formatEndpoint } from "../../address/endpoint.ts";
import { hostFromIp } from "../../address/host.ts";
import type { Ip } from "../../address/ip.ts";

/** `ip:port`, IPv6 in brackets. */
export function formatAddress({ ip, port }: { readonly ip: Ip; readonly port: number }): string {
  return formatEndpoint({ host: hostFromIp(ip), port });
}
