"""Pictures in multipart bodies, base64 and data URLs, as many clients write them."""

import base64
import binascii
from collections.abc import Sequence
from urllib.parse import quote

import httpx
import pytest

from serving.gateway.codecs import multipart
from tests.serving.gateway.codecs.test_large_json import reservation
from tests.serving.gateway.conftest import picture

PREDICT = "/v1/models/shade:predict"
DARK = picture(5)
MIDDLE = picture(130)
DISPOSITION = 'Content-Disposition: form-data; name="image"; filename="a.png"'
IN_BASE64 = base64.encodebytes(DARK).replace(b"\n", b"\r\n")


def labels(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["label"] for one in answer.json()["predictions"]]


def body(*parts: tuple[Sequence[str], bytes], boundary: str = "B", line_end: bytes = b"\r\n") -> bytes:
    mark = b"--" + boundary.encode()
    written = b""
    for headers, content in parts:
        lines = [mark, *(header.replace("\r\n", line_end.decode()).encode() for header in headers), b"", content, b""]
        written += line_end.join(lines)
    return written + mark + b"--" + line_end


def post(http: httpx.Client, content: bytes, parameters: str = "boundary=B") -> httpx.Response:
    headers = {"content-type": f"multipart/form-data; {parameters}"}
    return http.post(PREDICT, content=content, headers=headers, params={"polarity": "light_on_dark"})


READ: dict[str, tuple[Sequence[str], bytes]] = {
    "a file": ([DISPOSITION, "Content-Type: image/png"], DARK),
    "no type": ([DISPOSITION], DARK),
    "S3's type": ([DISPOSITION, "Content-Type: binary/octet-stream"], DARK),
    "another format's type": ([DISPOSITION, "Content-Type: image/jpeg"], DARK),
    "a text's type": ([DISPOSITION, "Content-Type: text/plain; charset=utf-8"], DARK),
    "filename* alone": (["Content-Disposition: form-data; name=\"image\"; filename*=utf-8''sch%C3%B6n.png"], DARK),
    "filename* and filename": ([DISPOSITION + "; filename*=UTF-8''%e2%82%ac.png"], DARK),
    "filename in pieces": (['Content-Disposition: form-data; name=image; filename*0="a"; filename*1=".png"'], DARK),
    "no quotes": (["content-disposition:form-data;name=image;filename=a.png"], DARK),
    "upper case": (['CONTENT-DISPOSITION: FORM-DATA; NAME="image"; FILENAME="A.PNG"'], DARK),
    "quotes in the name": (['Content-Disposition: form-data; name="image"; filename="a\\"; b.png"'], DARK),
    "the path that Windows writes": (['Content-Disposition: form-data; name="image"; filename="C:\\a\\"'], DARK),
    "letters beyond ASCII": (['Content-Disposition: form-data; name="Bild"; filename="schön.png"'], DARK),
    "another field name": (['Content-Disposition: form-data; name="files[]"; filename="a.png"'], DARK),
    "no name": (['Content-Disposition: form-data; filename="a.png"'], DARK),
    "a folded header": (['Content-Disposition: form-data;\r\n  name="image";\r\n\tfilename="a.png"'], DARK),
    "no filename but a picture's type": (
        ["Content-Disposition: form-data; name=image", "Content-Type: image/png"],
        DARK,
    ),
    "no filename but bytes": (['Content-Disposition: form-data; name="image"'], DARK),
    "no disposition": (["Content-Type: image/png"], DARK),
    "no headers": ([], DARK),
    "base64 in lines": ([DISPOSITION, "Content-Transfer-Encoding: base64"], IN_BASE64),
    "BASE64 in one": ([DISPOSITION, "content-transfer-encoding: BASE64"], base64.b64encode(DARK)),
    "base64 without a filename": (["Content-Disposition: form-data", "Content-Transfer-Encoding: base64"], IN_BASE64),
    "quoted-printable": (
        [DISPOSITION, "Content-Transfer-Encoding: quoted-printable"],
        binascii.b2a_qp(DARK, istext=False),
    ),
    "8bit": ([DISPOSITION, "Content-Transfer-Encoding: 8bit"], DARK),
    "binary": ([DISPOSITION, "Content-Transfer-Encoding: Binary"], DARK),
    "many headers": ([DISPOSITION, *(f"X-{number}: {'a' * 100}" for number in range(40))], DARK),
}


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
@pytest.mark.parametrize("name", READ)
def test_parts_that_are_read(http: httpx.Client, name: str, line_end: bytes) -> None:
    assert labels(post(http, body(READ[name], line_end=line_end))) == ["dark"]
    both = body(READ[name], ([DISPOSITION], MIDDLE), line_end=line_end)
    assert labels(post(http, both)) == ["dark", "middle"]


PLAIN = body(READ["a file"])
AROUND: dict[str, tuple[bytes, str]] = {
    "a preamble": (b"This is a multipart message.\r\n" + PLAIN, "boundary=B"),
    "empty lines in front": (b"\r\n\r\n" + PLAIN, "boundary=B"),
    "an epilogue": (PLAIN + b"\r\nand more\r\n--B\r\n", "boundary=B"),
    "no last line end": (PLAIN.removesuffix(b"\r\n"), "boundary=B"),
    "blanks behind boundaries": (PLAIN.replace(b"--B\r\n", b"--B \t\r\n", 1), "boundary=B"),
    "a quoted boundary": (body(READ["a file"], boundary="a b:c"), 'boundary="a b:c"'),
    "a long boundary": (body(READ["a file"], boundary="-" * 70), "boundary=" + "-" * 70),
    "a boundary with =": (body(READ["a file"], boundary="----=_Part_1.2"), "boundary=----=_Part_1.2"),
    "a parameter in front": (PLAIN, "charset=utf-8; Boundary=B"),
    "a parameter behind": (PLAIN, "boundary=B; charset=utf-8"),
    "the boundary inside of a line": (body(([DISPOSITION], DARK + b" --B\r\n")), "boundary=B"),
    "a bare line feed before it": (body(([DISPOSITION], DARK + b"\n--B\n")), "boundary=B"),
    "an unused file field": (
        body((['Content-Disposition: form-data; name="b"; filename=""'], b""), READ["a file"]),
        "boundary=B",
    ),
}


@pytest.mark.parametrize("name", AROUND)
def test_preamble_epilogue_and_line_ends(http: httpx.Client, name: str) -> None:
    content, parameters = AROUND[name]
    assert labels(post(http, content, parameters)) == ["dark"]


TITLE = ['Content-Disposition: form-data; name="title"']
REFUSED: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "a text field": (body((TITLE, b"Shoe"), READ["a file"]), ("'title' is not a file", "in the URL")),
    "a JSON field": (
        body(([*TITLE, "Content-Type: application/json"], b"{}"), READ["a file"]),
        ("'title' of type application/json is not a file",),
    ),
    "nested parts": (
        body(([*TITLE, "Content-Type: multipart/mixed; boundary=C"], b"--C\r\n\r\n--C--")),
        ("multipart/mixed is not a file",),
    ),
    "no base64": (body(([DISPOSITION, "Content-Transfer-Encoding: base64"], DARK)), ("'image' is not base64",)),
    "another encoding": (
        body(([DISPOSITION, "Content-Transfer-Encoding: x-uuencode"], DARK)),
        ("'image'", "'x-uuencode'", "base64"),
    ),
    "an unused file field alone": (
        body((['Content-Disposition: form-data; name="b"; filename=""'], b"")),
        ("holds no file",),
    ),
    "no header": (body((["what is this"], DARK)), ("malformed", "not a header")),
    "no end of the headers": (b"--B\r\nA: b\r\n--B--", ("malformed", "headers")),
    "another boundary inside": (PLAIN.replace(b"--B--", b"--Boundary--"), ("malformed", "'oundary--")),
    "cut in a picture": (PLAIN[:150], ("unfinished",)),
    "cut in the last boundary": (PLAIN[:-4], ("unfinished", "closing boundary")),
    "cut before the last dash": (PLAIN[:-3], ("unfinished", "closing boundary")),
    "too many parts": (body(*[(['Content-Disposition: form-data; filename=""'], b"")] * 129), ("more than 128",)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_message_names_the_cause(http: httpx.Client, name: str) -> None:
    content, words = REFUSED[name]
    answer = post(http, content)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_document"), answer.text
    for word in words:
        assert word in answer.json()["error"]


def test_a_boundary_that_is_too_long(http: httpx.Client) -> None:
    answer = post(http, PLAIN, "boundary=" + "B" * 300)
    assert answer.status_code == 400
    assert "at most 256" in answer.json()["error"]


TYPES = (
    "image/pjpeg",
    "image/jpg",
    "image/x-png",
    "image/x-bmp",
    "image/vnd.microsoft.icon",
    "image/heic",
    "IMAGE/PNG; charset=binary",
    "image/*",
    "application/octet-stream",
    "binary/octet-stream",
    "application/binary",
)


@pytest.mark.parametrize("content_type", TYPES)
def test_the_bytes_decide_the_picture_format(http: httpx.Client, content_type: str) -> None:
    answer = http.post(PREDICT, content=DARK, headers={"content-type": content_type})
    assert labels(answer) == ["dark"]
    wrong = http.post(PREDICT, content=b"GIF8 or not", headers={"content-type": content_type})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "bad_picture")


@pytest.mark.parametrize("content_type", ["", "application/json", "image/png", "application/x-www-form-urlencoded"])
def test_multipart_with_another_content_type(http: httpx.Client, content_type: str) -> None:
    """A browser sends this if the page overwrites the header."""
    answer = http.post(PREDICT, content=PLAIN, headers={"content-type": content_type} if content_type else {})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_document")
    assert f"is multipart, but its content type is '{content_type}'" in answer.json()["error"]


@pytest.mark.parametrize("content", [DARK, '{"b64": ""}'.encode("utf-16")], ids=["a picture", "UTF-16"])
def test_other_bytes_as_json(http: httpx.Client, content: bytes) -> None:
    answer = http.post(PREDICT, content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_document")
    assert "such as image/png, and JSON in UTF-8" in answer.json()["error"]


TEXT = base64.b64encode(DARK).decode()
URLS = (
    f"data:image/png;base64,{TEXT}",
    f"data:image/png;BASE64,{TEXT}",
    f"DATA:image/png;Base64,{TEXT}",
    f"data:;base64,{TEXT}",
    f"data:image/png;charset=utf-8;base64,{TEXT}",
    f"data:image/png;name=a.png; base64 ,{TEXT}",
    f" \n data:image/png;base64,\r\n{base64.encodebytes(DARK).decode()}",
    f"data:image/png;base64,{quote(TEXT, safe='')}",
    "data:image/png;base64," + TEXT.replace("+", "%2b").replace("/", "%2f").replace("=", "%3d"),
    f"data:image/png;base64,{quote(base64.encodebytes(DARK))}",
    f"data:image/png;base64,{TEXT.rstrip('=')}",
    f"data:image/jpeg;base64,{TEXT}",
)


@pytest.mark.parametrize("url", URLS)
def test_data_urls(http: httpx.Client, url: str) -> None:
    assert labels(http.post(PREDICT, json={"b64": url})) == ["dark"]
    answer = http.post("/v1/embeddings", json={"model": "shade", "input": url})
    assert answer.json()["data"][0]["embedding"] == [5, 1]


@pytest.mark.parametrize(
    "url", ["data:image/svg+xml,%3Csvg/%3E", "data:image/png,abc", "data:image/png;base64", "data:"]
)
def test_invalid_data_urls(http: httpx.Client, url: str) -> None:
    answer = http.post(PREDICT, json={"b64": url})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_document")
    assert "data:image/png;base64,…" in answer.json()["error"]


def test_a_boundary_across_two_pieces_is_found() -> None:
    """Large bodies are searched in pieces of a megabyte."""
    for size in range(2**20 - 100, 2**20 + 5):
        assert multipart.files(body(([DISPOSITION], bytes(size))), "boundary=B", 1, reservation()) == [bytes(size)]
