// node agent.mjs ask|tunnel|socket URL: an agent without any package. `ask` sends an absolute URI to the proxy, with a
// placeholder for the token; `tunnel` asks for a tunnel and fetches the URL in it; `socket` opens a WebSocket.
import http from "node:http";
import https from "node:https";

const [mode, text] = process.argv.slice(2);
const target = new URL(text);
const proxy = new URL(process.env.HTTPS_PROXY);
const login = Buffer.from(`${proxy.username}:${proxy.password}`).toString("base64");
const toProxy = {
  host: proxy.hostname,
  port: proxy.port,
  headers: { Host: target.host, "Proxy-Authorization": `Basic ${login}` },
};

try {
  process.stdout.write(await { ask, tunnel, socket }[mode]());
} catch (error) {
  process.stderr.write(`agent: ${error.message}\n`);
  process.exitCode = 1;
}

async function ask() {
  const headers = { ...toProxy.headers, Authorization: "Bearer sk-placeholder" };
  return read(http.request({ ...toProxy, path: target.href, headers }));
}

async function tunnel() {
  const port = target.port || (target.protocol === "https:" ? 443 : 80);
  const request = http.request({ ...toProxy, method: "CONNECT", path: `${target.hostname}:${port}` }).end();
  const opened = await new Promise((resolve, reject) => {
    request.on("error", reject);
    request.on("connect", ({ statusCode, statusMessage }, connection) => {
      if (statusCode === 200) return resolve(connection);
      connection.destroy();
      reject(new Error(`${statusCode} ${statusMessage}`));
    });
  });
  // The name that TLS is asked for; another than the tunnel's is domain fronting.
  const servername = process.env.FRONT ?? target.hostname;
  return read(https.request({ socket: opened, servername, agent: false, host: servername, path: target.pathname }));
}

async function socket() {
  const headers = { ...toProxy.headers, Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13" };
  headers["Sec-WebSocket-Key"] = Buffer.alloc(16).toString("base64");
  return read(http.request({ ...toProxy, path: target.href.replace(/^ws/, "http"), headers }));
}

function read(request) {
  return new Promise((resolve, reject) => {
    request.on("error", reject);
    request.on("upgrade", (response, opened) => {
      opened.destroy();
      resolve("switched\n");
    });
    request.on("response", async (response) => {
      try {
        let body = "";
        for await (const chunk of response.setEncoding("utf8")) body += chunk;
        if (response.statusCode === 200) resolve(body);
        else reject(new Error(`${response.statusCode} ${response.statusMessage}`));
      } catch (error) {
        reject(error);
      }
    });
    request.end();
  });
}
