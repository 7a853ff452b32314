"""Read one series of numbers from a CSV file. An ambiguous file is refused; the error names the option that decides.

:func:`serving.inputs.series_csv.reader.read` is the only entry. The steps are :mod:`.text` (bytes to characters),
:mod:`.layout` (lines to a table), :mod:`.columns` (which columns), :mod:`.times`, :mod:`.numbers`, :mod:`.period` (how
far the rows are apart) and :mod:`.splits` (jumps of prices).
"""
