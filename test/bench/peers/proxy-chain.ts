import { findFreePort, findProgram, startProcess, type Peer } from "../peer.ts";

const install = "proxy-chain is not installed (npm install --no-save proxy-chain).";

/** npm's proxy-chain on Node.js, as its documentation starts it. */
export const proxyChain: Peer = {
  name: "proxy-chain",
  handshake: "connect",
  forwards: true,
  findMissing() {
    if (findProgram("node") === undefined) return "node is not installed.";
    return findPackage() === undefined ? install : undefined;
  },
  start() {
    const port = findFreePort();
    const program = [
      `import * as proxyChain from ${JSON.stringify(findPackage())};`,
      "const { Server } = proxyChain.Server === undefined ? proxyChain.default : proxyChain;",
      `await new Server({ host: "127.0.0.1", port: ${port} }).listen();`,
      "",
    ];
    return startProcess({
      port,
      files: () => ({ "proxy.mjs": program.join("\n") }),
      command: (folder) => [findProgram("node") ?? "node", `${folder}/proxy.mjs`],
    });
  },
};

function findPackage(): string | undefined {
  try {
    return Bun.resolveSync("proxy-chain", process.env["BENCH_MODULES"] ?? import.meta.dir);
  } catch {
    return undefined;
  }
}
