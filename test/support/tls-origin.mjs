// A real TLS server for the tests, run by Node.js: node tls-origin.mjs CERT KEY [FOLDER]
// GET /hello, GET /bytes/N, PUT /digest, and the Git repositories of FOLDER below /git/.
import { spawn } from "node:child_process";
import { createCipheriv, createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";

const [cert, key, repositories] = process.argv.slice(2);

const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
  const { pathname } = new URL(request.url, "https://origin");
  if (pathname === "/hello") return response.end("hello from the origin\n");
  if (pathname.startsWith("/bytes/")) return sendBytes(response, Number(pathname.slice("/bytes/".length)));
  if (pathname === "/digest") return sendDigest(request, response);
  if (pathname.startsWith("/git/") && repositories !== undefined) return runGit(request, response);
  response.writeHead(404).end();
});
server.listen(0, "127.0.0.1", () => process.stderr.write(`Listening on ${server.address().port}\n`));

/** The key stream of keystream.ts. */
function sendBytes(response, length) {
  const cipher = createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16));
  const zeros = Buffer.alloc(1024 * 1024);
  response.setHeader("Content-Length", length);
  let left = length;
  const send = () => {
    while (left > 0) {
      const piece = cipher.update(zeros.subarray(0, Math.min(zeros.length, left)));
      left -= piece.length;
      if (!response.write(piece)) return response.once("drain", send);
    }
    response.end();
  };
  send();
}

function sendDigest(request, response) {
  const hash = createHash("sha256");
  let bytes = 0;
  request.on("data", (chunk) => {
    hash.update(chunk);
    bytes += chunk.length;
  });
  request.on("end", () => response.end(JSON.stringify({ bytes, sha256: hash.digest("hex") })));
}

/** Git's own server side, a CGI program (RFC 3875). */
function runGit(request, response) {
  const { pathname, search } = new URL(request.url, "https://origin");
  const child = spawn("git", ["http-backend"], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: repositories,
      GIT_HTTP_EXPORT_ALL: "1",
      // Git writes only for somebody; the name means nothing here.
      REMOTE_USER: "test",
      REQUEST_METHOD: request.method,
      PATH_INFO: pathname.slice("/git".length),
      QUERY_STRING: search.slice(1),
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
    },
    stdio: ["pipe", "pipe", "inherit"],
  });
  request.pipe(child.stdin);
  let head = Buffer.alloc(0);
  const readHead = (chunk) => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) return;
    child.stdout.off("data", readHead);
    for (const line of head.subarray(0, end).toString().split("\r\n")) {
      const [, name, value] = /^([^:]+): *(.*)$/.exec(line);
      if (name.toLowerCase() === "status") response.statusCode = parseInt(value, 10);
      else response.setHeader(name, value);
    }
    response.write(head.subarray(end + 4));
    child.stdout.pipe(response);
  };
  child.stdout.on("data", readHead);
}
