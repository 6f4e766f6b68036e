import { COLUMN_KEYS, firstOrder, type Order } from "./table-order.ts";

export const VIEWS = ["overview", "tunnels", "upstreams", "lists", "users", "certificates", "configuration"] as const;
export type View = (typeof VIEWS)[number];

/** Where somebody is in the page. It is all in the fragment of the URL, which is never sent. */
export interface Route {
  readonly view: View;
  /** The tunnel that is open. */
  readonly id: string | undefined;
  readonly filter: string;
  readonly order: Order;
}

const START: Route = { view: "overview", id: undefined, filter: "", order: firstOrder("rate") };

/** Reads `#/tunnels/ID?filter=…&sort=-rate`. What is not understood is left out. */
export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [name = "", id] = path.split("/");
  const view = VIEWS.find((known) => known === name);
  if (view === undefined) return START;
  const parameters = new URLSearchParams(query);
  const sort = parameters.get("sort") ?? "";
  const by = COLUMN_KEYS.find((key) => key === sort.replace(/^-/, ""));
  return {
    view,
    id: view === "tunnels" && id !== undefined && id !== "" ? decode(id) : undefined,
    filter: parameters.get("filter") ?? "",
    order: by === undefined ? START.order : { by, descending: sort.startsWith("-") },
  };
}

export function formatRoute({ view, id, filter, order }: Route): string {
  if (view === "overview") return "#/";
  if (view !== "tunnels") return `#/${view}`;
  const query = new URLSearchParams();
  if (filter !== "") query.set("filter", filter);
  if (order.by !== START.order.by || order.descending !== START.order.descending)
    query.set("sort", `${order.descending ? "-" : ""}${order.by}`);
  const text = query.size === 0 ? "" : `?${query.toString()}`;
  return `#/tunnels${id === undefined ? "" : `/${encodeURIComponent(id)}`}${text}`;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
