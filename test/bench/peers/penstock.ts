import { existsSync } from "node:fs";
import { findFreePort, startProcess, type Peer } from "../peer.ts";

const root = new URL("../../../", import.meta.url).pathname;
/** `BENCH_PENSTOCK` names another one than that of the last build. */
const executable = process.env["BENCH_PENSTOCK"] ?? `${root}dist/penstock`;

/** Penstock: the executable when it is built, the sources otherwise. */
export function definePenstock(
  name: string,
  settings: object,
  others: Partial<Peer> = {},
  findCommand: () => readonly string[] = findCurrent,
): Peer {
  return {
    name,
    isPenstock: true,
    handshake: "connect",
    forwards: true,
    version: [...findCommand(), "version"],
    findMissing: () =>
      existsSync(findCommand().at(-1) ?? "")
        ? undefined
        : "There is neither dist/penstock (bun run build) nor src/main.ts.",
    start() {
      const port = findFreePort();
      const configuration = {
        listen: [`127.0.0.1:${port}`],
        rules: [{ name: "bench", to: ["127.0.0.0/8"], allowPrivate: true }],
        limits: { connections: 20_000 },
        log: { access: "off" },
        ...settings,
      };
      return startProcess({
        port,
        files: () => ({ "penstock.json": JSON.stringify(configuration) }),
        command: (folder) => [...findCommand(), "serve", "--config", `${folder}/penstock.json`],
      });
    },
    ...others,
  };
}

function findCurrent(): readonly string[] {
  return existsSync(executable) ? [executable] : [process.execPath, `${root}src/main.ts`];
}

export const penstock = definePenstock("penstock", {});
/** Without lanes: what other platforms and TLS legs get. */
export const penstockRelay = definePenstock("penstock (relay)", { splice: "off" });
/** Asked as a SOCKS proxy, to stand beside those that are nothing else; tunnels themselves are the same. */
export const penstockSocks = definePenstock("penstock (SOCKS5)", {}, { handshake: "socks5", only: ["setup"] });
/** An earlier executable, to see what a change costs: `BENCH_PENSTOCK_BEFORE` names it. */
const before = process.env["BENCH_PENSTOCK_BEFORE"];
export function definePenstockBefore(settings: object): Peer {
  return definePenstock(
    "penstock (before)",
    settings,
    before === undefined ? { version: [], findMissing: () => "BENCH_PENSTOCK_BEFORE names no executable." } : {},
    () => [before ?? ""],
  );
}
export const penstockBefore = definePenstockBefore({});
