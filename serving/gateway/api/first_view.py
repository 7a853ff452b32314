"""The page's first view in two round trips: its modules joined into one file, without a build step.

The files in ``ui/`` are plain ES modules, and ``index.html`` names those of the first view. HTTP/1.1 fetches six files
at a time, so the gateway sends them as one. An import map leads every import of them to that file: modules that are
loaded later share the same objects. Top-level names of these modules must therefore differ.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping

#: Path of the joined modules, below ``/page/``.
JOINED = "first.js"
_PRELOAD = re.compile(r' *<link rel="modulepreload" href="/page/(.+)">\n')
_SCRIPT = re.compile(r' *<script src="/page/([^"]+)"')
_IMPORT = re.compile(r'^import .+ from "\..+";\n', re.MULTILINE)


def join(index: str, modules: Mapping[str, str]) -> tuple[str, str, str]:
    """Join the modules that a page names, its script last.

    Args:
        index: the page. It names the modules in the order of their imports.
        modules: texts by path below ``/page/``.

    Returns:
        The page with the joined file, the joined modules, and the Content-Security-Policy's source for the import map.
    """
    script = _SCRIPT.search(index)
    assert script is not None
    names = [*_PRELOAD.findall(index), script[1]]
    joined = "\n".join(_IMPORT.sub("", modules[name]) for name in names)
    import_map = json.dumps({"imports": {f"/page/{name}": f"/page/{JOINED}" for name in names}})
    page = _PRELOAD.sub("", index)
    page = _SCRIPT.sub(f'  <script type="importmap">{import_map}</script>\n  <script src="/page/{JOINED}"', page)
    digest = base64.b64encode(hashlib.sha256(import_map.encode()).digest()).decode()
    return page, joined, f"'sha256-{digest}'"
