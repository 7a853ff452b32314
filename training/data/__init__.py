"""One module for each data set: real loaders, and small synthetic stand-ins, taken only when asked for."""
