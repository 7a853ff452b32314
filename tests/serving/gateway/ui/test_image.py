"""Pictures on the page: drawn, chosen, dropped and pasted ones."""

import base64
from pathlib import Path

import pytest

from tests.serving.gateway.browser import Browser
from tests.serving.gateway.conftest import picture
from tests.serving.gateway.models.test_canary import until

#: Most milliseconds from a movement of the pen to the answer on the page; the best of several counts.
MOST_MILLISECONDS = 100
CROSS = ((-80, -80), (80, 80)), ((80, -80), (-80, 80))
#: Sends an event with a file of this content, name and type to the middle of the window.
TRANSFER = """
const [kind, content, name, type] = arguments;
const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
const data = new DataTransfer();
data.items.add(new File([bytes], name, {type}));
const event = kind === 'paste' ? new ClipboardEvent(kind, {clipboardData: data, bubbles: true, cancelable: true})
  : new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true});
document.elementFromPoint(innerWidth / 2, 20).dispatchEvent(event);
"""


def transfer(page: Browser, kind: str, content: bytes, name: str, media_type: str) -> None:
    page.run(TRANSFER, kind, base64.b64encode(content).decode(), name, media_type)


def shows_no_broken_picture(page: Browser) -> bool:
    script = "return [...document.images].every((one) => !one.checkVisibility() || one.naturalWidth > 0)"
    return bool(page.run(script))


def test_a_picture_has_classes_the_models_view_and_similar_items(page: Browser, tmp_path: Path) -> None:
    file = tmp_path / "light.png"
    file.write_bytes(picture(250))
    page.run("document.querySelector('#polarity').value = 'light_on_dark'")
    page.type_path("#file", file)
    page.wait_for("light", "#answers .verdict")
    assert page.texts("#answers .bars b")[0] == "light"
    assert page.run("return document.querySelector('#answers figure img').naturalWidth") == 4
    similar = page.texts("#answers .similar li")
    assert similar[0] == "light\ndistance 50" and len(similar) == 4
    assert "among 4 items: brightnesses 200, 100, 0, 90" in page.texts("#answers .quiet")
    assert shows_no_broken_picture(page)


def test_the_answer_follows_the_pen(page: Browser) -> None:
    page.run("""
        window.times = [];
        let moved = 0;
        document.querySelector('#canvas').addEventListener('pointermove',
          ({buttons}) => { if (buttons) moved ||= performance.now(); });
        new MutationObserver(() => { if (moved) { window.times.push(performance.now() - moved); moved = 0; } })
          .observe(document.querySelector('#answers'), {childList: true, subtree: true});
    """)
    fastest = MOST_MILLISECONDS
    for count in range(1, 20):  # the machine may be busy with other tests
        page.drag("#canvas", *CROSS)
        until(lambda count=count: len(page.run("return window.times")) >= count)
        fastest = min(page.run("return window.times"))
        if count > 2 and fastest < MOST_MILLISECONDS:
            break
    assert fastest < MOST_MILLISECONDS
    page.wait_for("version 1", "#answers")
    assert page.run("return document.querySelector('#spoken').textContent").startswith("shade: ")
    page.click("#clear")
    assert page.texts("#answers .body") == ["Nothing to see yet."]


def test_the_newest_input_wins(page: Browser) -> None:
    """An answer that comes after a newer picture was chosen is not shown, nor is its error."""
    page.run("""
        window.aborted = 0;
        const real = window.fetch;
        window.fetch = (path, options) => {
          if (!path.includes(':predict')) return real(path, options);
          options.signal.addEventListener('abort', () => { window.aborted++; });
          return new Promise((resolve, reject) => {
            options.signal.addEventListener('abort', () => reject(new DOMException('', 'AbortError')));
            window.release = () => resolve(real(path, options));
          });
        };
    """)
    transfer(page, "drop", picture(250), "a.png", "image/png")
    until(lambda: page.run("return document.querySelectorAll('.answer[aria-busy]').length") == 1)
    transfer(page, "drop", picture(5), "b.png", "image/png")
    until(lambda: page.run("return window.aborted") == 1)
    assert page.texts("#answers .error") == []
    page.run("window.release()")
    page.wait_for("dark", "#answers .verdict")
    assert page.run("return document.querySelectorAll('.answer[aria-busy]').length") == 0


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_may_be_dropped_or_pasted_anywhere(page: Browser, kind: str) -> None:
    page.run("location.hash = '#series'")
    page.wait_for("forecast", "#series-section .legend")
    transfer(page, "dragenter", b"", "a.png", "image/png")
    assert page.texts("#dropping") == ["Drop the file anywhere"]
    transfer(page, "drop" if kind == "drop" else "paste", picture(5), "a.png", "image/png")
    page.wait_for("dark", "#answers .verdict")
    assert page.texts("#series-section") == []
    if kind == "drop":
        assert page.texts("#dropping") == []


def test_a_file_that_no_browser_shows_is_named(page: Browser) -> None:
    transfer(page, "drop", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "photo.heic", "image/heic")
    page.wait_for("The browser cannot show photo.heic.", "#unseen")
    page.wait_for("This picture cannot be used.", "#answers .error")
    assert "Most Compatible" in page.texts("#answers .error .quiet")[0]
    assert shows_no_broken_picture(page)
    transfer(page, "drop", b"%PDF", "a.pdf", "application/pdf")
    page.wait_for("No model here reads a.pdf.", "#problem")


def test_a_chosen_file_that_is_no_picture_is_not_sent(page: Browser, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("text")
    page.type_path("#file", file)
    page.wait_for("notes.txt is not a picture.", "#trouble .error")
    assert page.texts("#answers .error") == []


def test_the_drawing_survives_a_reload(page: Browser) -> None:
    page.drag("#canvas", *CROSS)
    page.wait_for("version 1", "#answers")
    page.run("location.reload()")
    page.wait_for("version 1", "#answers")
    page.click("#clear")
