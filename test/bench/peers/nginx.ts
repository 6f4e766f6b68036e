import { findFreePort, findProgram, requireProgram, startProcess, type Peer } from "../peer.ts";

/** nginx speaks no CONNECT; for plain HTTP it leads to the origin over connections that it keeps. */
export const nginx: Peer = {
  name: "nginx",
  handshake: undefined,
  forwards: true,
  version: ["nginx", "-v"],
  findMissing: () => requireProgram("nginx"),
  start(origin) {
    const port = findFreePort();
    const configuration = (folder: string): string =>
      [
        "daemon off;",
        "worker_processes 1;",
        `pid ${folder}/nginx.pid;`,
        `error_log ${folder}/error.log;`,
        "events { worker_connections 8000; }",
        "http {",
        "  access_log off;",
        `  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;`,
        `  fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;`,
        `  upstream origin { server 127.0.0.1:${origin.port}; keepalive 128; }`,
        `  server { listen 127.0.0.1:${port}; keepalive_requests 1000000000;`,
        '    location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; } }',
        "}",
        "",
      ].join("\n");
    return startProcess({
      port,
      files: (folder) => ({ "nginx.conf": configuration(folder) }),
      command: (folder) => [findProgram("nginx") ?? "nginx", "-c", `${folder}/nginx.conf`, "-p", folder],
    });
  },
};
