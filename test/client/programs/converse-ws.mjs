// node converse-ws.mjs WAY PROXY URL: a conversation of the `ws` package with an echo server, through the
// proxy by a request to forward, in a tunnel, or over SOCKS. Prints what it comes to.
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { HttpsProxyAgent } from "https-proxy-agent";
import { SocksProxyAgent } from "socks-proxy-agent";
import { WebSocket } from "ws";

const [way, proxyUrl, url] = process.argv.slice(2);
const proxy = new URL(proxyUrl);

/** The absolute-form of RFC 9112 §3.2.2, as agents for plain HTTP send it. */
function forward() {
  const at = { host: proxy.hostname, port: proxy.port };
  const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return {
    createConnection: () => (proxy.protocol === "https:" ? connectTls(at) : connect(at)),
    finishRequest(request) {
      request.path = url.replace(/^ws/, "http");
      request.setHeader("Proxy-Authorization", `Basic ${Buffer.from(credentials).toString("base64")}`);
      request.end();
    },
  };
}

const ways = {
  forward,
  tunnel: () => ({ agent: new HttpsProxyAgent(proxyUrl) }),
  socks: () => ({ agent: new SocksProxyAgent(proxyUrl) }),
};

const say = (line) => process.stdout.write(`${line}\n`);

const socket = new WebSocket(url, ways[way]());
const sent = randomBytes(300_000);
socket.on("message", (data, isBinary) => {
  if (!isBinary) {
    say(`heard ${data}`);
    socket.send(sent);
    return;
  }
  say(sent.equals(data) ? "the same came back" : "something else came back");
  socket.ping("are you there");
});
socket.on("pong", (data) => {
  say(`pong to ${data}`);
  socket.close(1000, "done");
});
socket.on("close", (code) => say(`closed with ${code}`));
socket.on("error", (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
