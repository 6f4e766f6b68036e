// node fetch-undici.mjs PROXY USER PASSWORD URL CA: fetches through ProxyAgent and prints the body.
import { readFileSync } from "node:fs";
import { fetch, ProxyAgent } from "undici";

const [proxy, user, password, url, caFile] = process.argv.slice(2);
const agent = new ProxyAgent({
  uri: proxy,
  token: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
  requestTls: { ca: readFileSync(caFile) },
});
const response = await fetch(url, { dispatcher: agent });
process.stdout.write(await response.text());
await agent.close();
process.exitCode = response.ok ? 0 : 1;
