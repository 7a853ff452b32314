"""Reading picture files without trusting them: headers, sizes in memory, and the bytes that hold the pixels."""
