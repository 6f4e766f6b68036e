import { useEffect, useState } from "preact/hooks";
import { formatRoute, parseRoute, type Route } from "./route.ts";

/** Where to go: `replace` leaves no entry in the history. */
export type Go = (change: Partial<Route>, how?: "replace") => void;

/** The route of the address bar, and how to change it. */
export function useRoute(): readonly [Route, Go] {
  const [route, setRoute] = useState(() => parseRoute(location.hash));
  useEffect(() => {
    const follow = (): void => setRoute(parseRoute(location.hash));
    addEventListener("popstate", follow);
    return () => removeEventListener("popstate", follow);
  }, []);
  const go: Go = (change, how) => {
    const next = { ...parseRoute(location.hash), ...change };
    const url = formatRoute(next);
    if (how === "replace") history.replaceState(null, "", url);
    else history.pushState(null, "", url);
    setRoute(parseRoute(url));
  };
  return [route, go];
}
