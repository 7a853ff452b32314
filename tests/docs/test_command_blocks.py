"""Every command of a page is found, and every command outside of the convention is an error."""

import pytest

from tests.docs.command_blocks import Command, Elsewhere, PageError, read


def test_commands_scripts_and_comments_come_in_order() -> None:
    page = """# Page

<!-- run: vitrine up -->
```console
$ vitrine predict a.png \\
    --model xo_cnn   # a comment
a.png: X
…
$ vitrine models
```

<!-- not run: needs a cluster -->

```console
$ kubectl get pods
```
1. In a list:
   ```python
   print(1)
   ```

<!-- run by tests/e2e/test_up.py::test_x -->
```console
$ make up
```

    no command, but code
"""
    assert read(page) == [
        Command(3, "vitrine up"),
        Command(5, "vitrine predict a.png \\\n    --model xo_cnn   # a comment", shown="a.png: X\n…\n"),
        Command(9, "vitrine models"),
        Elsewhere(12, reason="needs a cluster"),
        Command(18, "print(1)\n", script=True),
        Elsewhere(22, test="tests/e2e/test_up.py::test_x"),
    ]


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("```bash\nls\n```\n", "line 1: commands in a block of another language"),
        ("```\nvitrine up\n```\n", "line 1: commands in a block of another language"),
        ("text\n\n    vitrine up\n", "an indented command"),
        ("    $ ls\n\n```json\n{}\n```\n", "an indented command"),
        ("```console\nls\n```\n", "line 2: a console block begins with"),
        ("<!-- not run: slow -->\n\ntext\n\n```console\n$ ls\n```\n", "line 1: a console or python block is expected"),
        ("<!-- not run: slow -->\n```json\n{}\n```\n", "line 1: a console or python block is expected"),
        ("<!-- not run: slow -->\n", "line 1: a console or python block is expected"),
        ("<!-- not run -->\n```console\n$ ls\n```\n", "line 1: the comment lacks a reason"),
    ],
)
def test_a_command_outside_of_the_convention_is_an_error(page: str, message: str) -> None:
    with pytest.raises(PageError, match=message):
        read(page)
