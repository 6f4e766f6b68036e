import { findFreePort, findProgram, requireProgram, startProcess, type Peer } from "../peer.ts";

const modules = ["mpm_event", "authz_core", "proxy", "proxy_connect", "proxy_http"];

/** Apache as a forward proxy: mod_proxy_connect for tunnels, a thread for each. */
export const apache: Peer = {
  name: "apache",
  handshake: "connect",
  forwards: true,
  version: ["apache2", "-v"],
  findMissing: () => requireProgram("apache2"),
  start(origin) {
    const port = findFreePort();
    const configuration = (folder: string): string =>
      [
        `ServerRoot ${folder}`,
        "ServerName bench",
        `PidFile ${folder}/apache.pid`,
        `ErrorLog ${folder}/error.log`,
        "LogLevel error",
        ...modules.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`),
        `Listen 127.0.0.1:${port}`,
        "User nobody",
        "Group nogroup",
        "ThreadLimit 256",
        "ServerLimit 32",
        "ThreadsPerChild 256",
        "StartServers 1",
        "MinSpareThreads 64",
        "MaxSpareThreads 8192",
        "MaxRequestWorkers 8192",
        "KeepAlive On",
        "MaxKeepAliveRequests 0",
        "ProxyRequests On",
        `AllowCONNECT ${origin.port}`,
        "<Proxy *>",
        "  Require all granted",
        "</Proxy>",
        // A forward proxy of Apache keeps no connections to origins, unless one is named: then it does, as the others do.
        `<Proxy "http://127.0.0.1:${origin.port}">`,
        "  ProxySet enablereuse=on",
        "</Proxy>",
        "",
      ].join("\n");
    return startProcess({
      port,
      files: (folder) => ({ "apache.conf": configuration(folder) }),
      command: (folder) => [findProgram("apache2") ?? "apache2", "-DFOREGROUND", "-f", `${folder}/apache.conf`],
    });
  },
};
