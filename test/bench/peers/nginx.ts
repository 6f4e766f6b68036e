import { findFreePort, findProgram, requireProgram, startProcess, type Peer } from "../peer.ts";

/** nginx speaks no CONNECT; for plain HTTP it can lead to the origin in two ways. */
function defineNginx(name: string, define: (originPort: number) => { outside?: string; location: string }): Peer {
  return {
    name,
    handshake: undefined,
    forwards: true,
    version: ["nginx", "-v"],
    findMissing: () => requireProgram("nginx"),
    start(origin) {
      const port = findFreePort();
      const { outside = "", location } = define(origin.port);
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
          // Room for 100 KB, so that nothing goes to files.
          "  proxy_buffers 8 64k; proxy_buffer_size 64k; proxy_busy_buffers_size 128k; proxy_max_temp_file_size 0;",
          `  ${outside}`,
          `  server { listen 127.0.0.1:${port}; keepalive_requests 1000000000; location / { ${location} } }`,
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
}

/** To whatever origin the request names: such connections nginx cannot keep, so each request makes one. */
export const nginxForward = defineNginx("nginx (forward)", () => ({
  location: "proxy_pass http://$http_host$request_uri;",
}));
/** To the one origin that the configuration names, over connections that it keeps: no forward proxy any more, but nginx at its best. */
export const nginxReverse = defineNginx("nginx (reverse)", (port) => ({
  outside: `upstream origin { server 127.0.0.1:${port}; keepalive 128; keepalive_requests 1000000000; }`,
  location: 'proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";',
}));
