"""Picture files from anyone: headers, sizes in memory, and the bytes of pixels."""
