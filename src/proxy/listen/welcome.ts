import type { Conn } from "../../net/conn.ts";
import type { TcpConn } from "../../net/tcp-conn.ts";
import { refuse } from "../respond/respond.ts";
import type { Services } from "../services.ts";
import type { Session } from "../session.ts";
import { type Doorway, enter, type Entrance } from "./enter.ts";
import type { Places } from "./places.ts";

/**
 * Leads a connection in; undefined when it had to be turned away, and was told
 * so if it can be. At once where the doorway asks for neither header nor TLS.
 * Never throws or rejects.
 */
export function welcome(
  session: Session,
  conn: TcpConn,
  doorway: Doorway,
  places: Places,
  services: Services,
): Conn | undefined | Promise<Conn | undefined> {
  try {
    const entrance = enter(session, conn, doorway, places);
    return entrance instanceof Promise
      ? welcomeLate(session, conn, entrance, services)
      : letIn(session, conn, entrance);
  } catch (error) {
    return stumble(session, conn, error, services);
  }
}

async function welcomeLate(
  session: Session,
  conn: TcpConn,
  entrance: Promise<Entrance>,
  services: Services,
): Promise<Conn | undefined> {
  try {
    return letIn(session, conn, await entrance);
  } catch (error) {
    return stumble(session, conn, error, services);
  }
}

function letIn(session: Session, conn: TcpConn, entrance: Entrance): Conn | undefined {
  if (entrance.ok) return entrance.conn;
  if (entrance.failure === "silent") {
    conn.close();
    return undefined;
  }
  if (entrance.conn === undefined) conn.close();
  refuse(session, entrance.conn ?? conn, entrance.failure, true);
  return undefined;
}

/** A mistake of ours at the door. */
function stumble(session: Session, conn: TcpConn, error: unknown, services: Services): undefined {
  services.reportBug(error, session.id);
  refuse(session, conn, { detail: "internal_error" }, true);
}
