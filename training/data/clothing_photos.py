"""Clothing dataset (small): 3,781 photographs of ten kinds of clothes, as people take them.

Source: https://github.com/alexeygrigorev/clothing-dataset-small, free for any purpose (CC0 of the full data set). Its
parts train, validation and test stay as they are.
"""

from pathlib import Path

from training.data import sources

ARCHIVE = "clothing-dataset-small.zip"
#: A commit that holds the pictures. GitHub makes the archive on demand, so its bytes have no fixed hash; the hash of
#: the training pictures identifies the data instead.
COMMIT = "36364be1969242c019705255cd87aed00c73a939"  # pragma: allowlist secret
_URL = f"https://github.com/alexeygrigorev/clothing-dataset-small/archive/{COMMIT}.zip"


def archive() -> Path:
    """Return the ZIP file: VITRINE_DATA's, or else the downloaded one.

    Raises:
        JobError: it is not in VITRINE_DATA and cannot be downloaded.
    """
    if found := sources.local(ARCHIVE):
        return found

    def fetch() -> Path:
        import keras

        return Path(keras.utils.get_file(ARCHIVE, _URL))

    return sources.download("The clothing photographs", fetch, ARCHIVE, stand_in=None)
