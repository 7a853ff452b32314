"""The error of a CSV file that cannot be read as one series."""


class SeriesFileError(ValueError):
    """The file cannot be read. The message continues the sentence that the file's name begins.

    Attributes:
        line: number of the line, counted from 1; None if it is about the whole file.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line
