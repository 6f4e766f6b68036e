"""clients.py PROGRAM PROXY_PORT USER PASSWORD URL CA: asks through the proxy and prints the answer."""

import base64
import http.client
import ssl
import sys
from urllib.parse import quote, urlsplit

PROXY_HOST = "127.0.0.1"


def run_http_client(port, user, password, url, ca):
    target = urlsplit(url)
    connection = http.client.HTTPSConnection(
        PROXY_HOST, port, context=ssl.create_default_context(cafile=ca), timeout=20
    )
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    connection.set_tunnel(target.hostname, target.port, {"Proxy-Authorization": f"Basic {token}"})
    connection.request("GET", target.path)
    print(connection.getresponse().read().decode())


def run_requests(port, user, password, url, ca):
    import requests

    proxy = f"http://{quote(user, safe='')}:{quote(password, safe='')}@{PROXY_HOST}:{port}"
    answer = requests.get(url, proxies={"http": proxy, "https": proxy}, verify=ca, timeout=20)
    answer.raise_for_status()
    print(answer.text)


def run_websocket(port, user, password, url, _ca):
    import websocket

    socket = websocket.create_connection(
        url,
        timeout=20,
        proxy_type="http",
        http_proxy_host=PROXY_HOST,
        http_proxy_port=port,
        http_proxy_auth=(user, password),
        # Else it leaves the proxy out for loopback.
        http_no_proxy=["nowhere.invalid"],
    )
    socket.send("hello over the websocket")
    print(socket.recv())
    socket.close()


programs = {"http.client": run_http_client, "requests": run_requests, "websocket": run_websocket}
name, port, *rest = sys.argv[1:]
programs[name](int(port), *rest)
