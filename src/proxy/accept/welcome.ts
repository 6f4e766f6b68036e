import type { Conn } from "../../net/conn/conn.ts";
import { refuse } from "../read/respond.ts";
import type { Services } from "../services.ts";
import type { Session } from "../session.ts";
import { type Listener, enter, type Entrance } from "./enter.ts";
import type { ConnectionSlots } from "../limit/connection-slots.ts";

/** The connection to go on with; or the one of a client that was turned away, which is still to be closed. */
export interface Welcome {
  readonly conn: Conn;
  readonly isIn: boolean;
}

/**
 * Leads a connection in, or turns it away and tells the client so if it can be.
 * At once where the listener asks for neither header nor TLS. Never throws or
 * rejects.
 */
export function welcome(
  session: Session,
  conn: Conn,
  listener: Listener,
  slots: ConnectionSlots,
  services: Services,
): Welcome | Promise<Welcome> {
  try {
    const entrance = enter(session, conn, listener, slots);
    if (!(entrance instanceof Promise) && entrance.ok) return { conn: entrance.conn, isIn: true };
    return welcomeLate(session, conn, entrance, services);
  } catch (error) {
    return stumble(session, conn, error, services);
  }
}

async function welcomeLate(
  session: Session,
  conn: Conn,
  entrance: Entrance | Promise<Entrance>,
  services: Services,
): Promise<Welcome> {
  try {
    const entered = await entrance;
    if (entered.ok) return { conn: entered.conn, isIn: true };
    if (entered.failure === "silent") {
      conn.close();
      return { conn, isIn: false };
    }
    if (entered.conn === undefined) conn.close();
    const told = entered.conn ?? conn;
    await refuse(session, told, entered.failure, true);
    return { conn: told, isIn: false };
  } catch (error) {
    return stumble(session, conn, error, services);
  }
}

/** A mistake of ours at the door. */
async function stumble(session: Session, conn: Conn, error: unknown, services: Services): Promise<Welcome> {
  services.reportBug(error, session.id);
  await refuse(session, conn, { detail: "internal_error" }, true);
  return { conn, isIn: false };
}
