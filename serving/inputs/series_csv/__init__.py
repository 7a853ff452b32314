"""Read one series of numbers from a CSV file. An ambiguous file is refused; the error names the option that decides.

:func:`serving.inputs.series_csv.reader.read` is the only entry. The steps are :mod:`.text` (bytes to characters),
:mod:`.layout` (lines to a table), :mod:`.time_column` and :mod:`.columns` (which columns), :mod:`.kept_rows` (rows with
a value), :mod:`.numbers`, :mod:`.times` (by :mod:`.time_forms`), :mod:`.order` (oldest first) and :mod:`.period` (the
distance of the rows). :mod:`.splits` finds jumps of prices.
"""
