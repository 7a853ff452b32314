"""The page's files over HTTP, and Swagger UI in a real browser."""

import re

import httpx

from serving.gateway.kinds import KINDS
from tests.serving.gateway.browser import browser
from tests.serving.gateway.programs import Gateway

#: Most bytes of all files together, and of the first view, compressed, with the list of models.
MOST_BYTES = 300_000
MOST_FIRST_BYTES = 40_000


def test_the_page_loads_nothing_from_other_hosts(http: httpx.Client) -> None:
    page = http.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "<title>Vitrine" in page.text
    queue, fetched = re.findall(r'(?:src|href)="(/page/[^"]+)"', page.text), {"/": page}
    queue += [f"/page/{kind.name}.js" for kind in KINDS]
    while queue:
        path = queue.pop()
        answer = http.get(path)
        assert answer.status_code == 200, path
        fetched[path] = answer
        found = re.findall(r'(?:from|import\() ?"(\.[^"]+)"', answer.text) if path.endswith(".js") else []
        found += re.findall(r'"(/page/[^"]+\.png)"', answer.text) if path.endswith(".js") else []
        queue += {httpx.URL(f"http://page{path}").join(name).path for name in found} - fetched.keys() - set(queue)
    assert {"/page/page.css", "/page/image/pad.js", "/page/series/csv.js", "/page/image/samples.png"} <= fetched.keys()
    assert not any(re.search(rb"https?://(?!www\.w3\.org)", answer.content) for answer in fetched.values())
    assert sum(len(answer.content) for answer in fetched.values()) < MOST_BYTES


def test_the_first_view_is_small_and_names_all_it_needs(http: httpx.Client) -> None:
    page = http.get("/")
    named = re.findall(r'(?:src|href)="(/page/[^"]+|/v1/models)"', page.text)
    modules = {path: http.get(path).text for path in named if path.endswith(".js")}
    for path, text in modules.items():
        needed = {httpx.URL(f"http://page{path}").join(name).path for name in re.findall(r'from "(\.[^"]+)"', text)}
        assert needed <= modules.keys(), f"{path} needs modules that index.html does not preload"
    for encoding in ("br", "gzip"):
        sizes = {path: int(_raw(http, path, encoding).headers["content-length"]) for path in ("/", *named)}
        assert sum(sizes.values()) < MOST_FIRST_BYTES, sizes


def _raw(http: httpx.Client, path: str, encoding: str) -> httpx.Response:
    answer = http.get(path, headers={"accept-encoding": encoding})
    assert path == "/v1/models" or answer.headers["content-encoding"] == encoding
    return answer


def test_an_unchanged_file_is_not_sent_again(http: httpx.Client) -> None:
    first = http.get("/page/page.js")
    again = http.get("/page/page.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert http.get("/page/page.js", headers={"if-none-match": 'W/"other"'}).content == first.content
    assert "content-encoding" not in http.get("/page/page.js", headers={"accept-encoding": "identity"}).headers


def test_docs_work_under_the_content_security_policy(served: Gateway) -> None:
    policies = [served.http.get(path).headers["content-security-policy"] for path in ("/", "/docs")]
    assert policies[0] == policies[1] and "unsafe" not in policies[0]
    with browser() as window:
        window.open(f"{served.url}/docs")
        window.wait_for("/v1/models/{model}:predict", ".opblock-summary-path")
        window.click(".opblock-summary-control")
        window.wait_for("Parameters", ".opblock-section-header")
        assert window.violations() == []
        window.run("const bad = document.createElement('script'); bad.text = '1'; document.body.append(bad)")
        assert "inline" in str(window.violations())  # the browser reports what it blocks
