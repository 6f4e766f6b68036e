// node ask-socks-agent.mjs PROXY URL…: asks for each URL through socks-proxy-agent and prints the bodies.
import { get as getPlain } from "node:http";
import { get as getSecure } from "node:https";
import { text } from "node:stream/consumers";
import { SocksProxyAgent } from "socks-proxy-agent";

const [proxy, ...urls] = process.argv.slice(2);
const agent = new SocksProxyAgent(proxy, { keepAlive: true });

for (const url of urls) {
  const get = url.startsWith("https:") ? getSecure : getPlain;
  const response = await new Promise((resolve, reject) => get(url, { agent }, resolve).on("error", reject));
  process.stdout.write(await text(response));
}
agent.destroy();
