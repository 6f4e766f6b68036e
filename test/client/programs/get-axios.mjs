// node get-axios.mjs PROXY URL…: posts and gets each URL through axios's own `proxy` setting and prints what came back.
import { readFileSync } from "node:fs";
import { Agent } from "node:https";
import axios from "axios";

const [proxyUrl, ...urls] = process.argv.slice(2);
const { protocol, hostname, port, username, password } = new URL(proxyUrl);
const proxy = {
  protocol: protocol.slice(0, -1),
  host: hostname,
  port: Number(port),
  auth: { username: decodeURIComponent(username), password: decodeURIComponent(password) },
};
const ca = readFileSync(process.env.NODE_EXTRA_CA_CERTS);

for (const url of urls) {
  const options = { proxy, httpsAgent: new Agent({ ca }), validateStatus: () => true };
  const answer = await (url.endsWith("/echo") ? axios.post(url, "echoed", options) : axios.get(url, options));
  process.stdout.write(`${answer.status} ${String(answer.data).trim()}\n`);
}
