import type { Conn } from "../../net/conn/conn.ts";
import { remainingMs } from "../../net/conn/deadlines.ts";
import { moveToRuntime } from "../../net/runtime/move-to-runtime.ts";
import { startServerTls } from "../../net/runtime/start-server-tls.ts";
import { fail, type Failure, type FailureDetail } from "../failure.ts";
import type { ShownCertificate } from "../auth/identify.ts";
import type { Listener } from "./listener.ts";

/** The encrypted connection; or why there is none, and a connection for the reply if there is one. */
export type AcceptedTls =
  | { readonly ok: true; readonly conn: Conn; readonly certificate: ShownCertificate | undefined }
  /** `silent`: the client sent nothing before it closed or timed out. That is not a failure. */
  | { readonly ok: false; readonly failure: Failure | "silent"; readonly conn?: Conn };

/** Does the TLS handshake with a client, as the server. */
export async function acceptTls(conn: Conn, tls: NonNullable<Listener["tls"]>, endsAt: number): Promise<AcceptedTls> {
  const socket = await moveToRuntime(conn);
  if (socket === undefined) return SILENT;
  const secured = await startServerTls(socket, tls.current, remainingMs(endsAt));
  if (secured.ok) {
    const { certificate } = secured;
    // A reload can change the accepted authorities while the connection lasts.
    const shown = certificate && {
      user: certificate.user,
      findFault: (now: number) => certificate.findFault(tls.current.clientAuthorities, now),
    };
    return { ok: true, conn: secured.conn, certificate: shown };
  }
  if (secured.kind === "silent") return SILENT;
  return {
    ...fail(details[secured.kind], { note: secured.note }),
    ...(secured.conn && { conn: secured.conn }),
  };
}

const SILENT: AcceptedTls = { ok: false, failure: "silent" };

const details: Readonly<
  Record<"timeout" | "gone" | "plain_http" | "certificate" | "alert" | "protocol", FailureDetail>
> = {
  timeout: "handshake_timeout",
  gone: "client_gone",
  plain_http: "protocol_not_served",
  certificate: "certificate_required",
  alert: "client_tls_failed",
  protocol: "client_tls_failed",
};
