"""forward.py PROGRAM PROXY CA URL…: asks for each URL on connections that are kept, and prints status and body."""

import sys
from urllib.parse import unquote, urlsplit


def show(status, body, proxy_status):
    print(status, body.decode().strip() if status == 200 else proxy_status)


def run_urllib3(proxy, ca, urls):
    """Also https URLs are given to the proxy in absolute-form: it is the proxy that speaks TLS to the origin."""
    import urllib3

    parts = urlsplit(proxy)
    login = f"{unquote(parts.username)}:{unquote(parts.password)}"
    manager = urllib3.ProxyManager(
        f"{parts.scheme}://{parts.hostname}:{parts.port}",
        proxy_headers=urllib3.make_headers(proxy_basic_auth=login),
        use_forwarding_for_https=True,
        ca_certs=ca,
        timeout=20,
        retries=False,
    )
    for url in urls:
        answer = manager.request("POST", url, body=b"echoed") if url.endswith("/echo") else manager.request("GET", url)
        show(answer.status, answer.data, answer.headers.get("Proxy-Status"))


def run_requests(proxy, ca, urls):
    import requests

    session = requests.Session()
    session.proxies = {"http": proxy, "https": proxy}
    session.verify = ca
    for url in urls:
        answer = session.post(url, data=b"echoed", timeout=20) if url.endswith("/echo") else session.get(url, timeout=20)
        show(answer.status_code, answer.content, answer.headers.get("Proxy-Status"))


programs = {"urllib3": run_urllib3, "requests": run_requests}
name, proxy, ca, *urls = sys.argv[1:]
programs[name](proxy, ca, urls)
