"""everyday.py PROGRAM PROXY CA URL…: asks for each URL with PySocks or aiohttp and prints what came back."""

import asyncio
import ssl
import sys
from urllib.parse import unquote, urlsplit


async def ask_aiohttp(proxy, ca, urls):
    import aiohttp

    parts = urlsplit(proxy)
    login = aiohttp.BasicAuth(unquote(parts.username), unquote(parts.password))
    trust = ssl.create_default_context(cafile=ca)
    options = {"proxy": f"{parts.scheme}://{parts.hostname}:{parts.port}", "proxy_auth": login}
    connector = aiohttp.TCPConnector(ssl=trust)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(20)) as session:
        for url in urls:
            if url.startswith("ws"):
                async with session.ws_connect(url, **options) as socket:
                    await socket.send_str("over the websocket")
                    print(await socket.receive_str(), await socket.receive_str())
            elif url.endswith("/echo"):
                async with session.post(url, data=b"echoed", **options) as answer:
                    print(answer.status, (await answer.text()).strip())
            else:
                async with session.get(url, **options) as answer:
                    print(answer.status, (await answer.text()).strip())


def run_aiohttp(proxy, ca, urls):
    asyncio.run(ask_aiohttp(proxy, ca, urls))


def run_pysocks(proxy, ca, urls):
    import socks

    parts = urlsplit(proxy)
    kinds = {"http": socks.HTTP, "socks5": socks.SOCKS5, "socks4": socks.SOCKS4}
    for url in urls:
        target = urlsplit(url)
        connection = socks.socksocket()
        connection.settimeout(20)
        connection.set_proxy(
            kinds[parts.scheme],
            parts.hostname,
            parts.port,
            username=parts.username and unquote(parts.username),
            password=parts.password and unquote(parts.password),
        )
        connection.connect((target.hostname, target.port))
        if target.scheme == "https":
            connection = ssl.create_default_context(cafile=ca).wrap_socket(connection, server_hostname=target.hostname)
        connection.sendall(f"GET {target.path} HTTP/1.0\r\nHost: {target.netloc}\r\n\r\n".encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
        head, _, body = answer.partition(b"\r\n\r\n")
        print(head.split()[1].decode(), body.decode().strip())


programs = {"aiohttp": run_aiohttp, "socks": run_pysocks}
name, proxy, ca, *urls = sys.argv[1:]
programs[name](proxy, ca, urls)
