"""All generated pages by file name."""

from tests.docs.reference import cli, errors, http_api, metrics, model_card, settings
from tests.programs import REPOSITORY

FOLDER = REPOSITORY / "docs" / "reference"


def pages() -> dict[str, str]:
    """Return the text of each page."""
    return {
        "cli.md": cli.render(),
        "errors.md": errors.render(),
        "http-api.md": http_api.render(),
        "metrics.md": metrics.render(),
        "model-card.md": model_card.render(),
        "settings.md": settings.render(),
    }
