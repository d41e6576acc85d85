"""The doctor of data sets: every fault with its file and line, each with its remedy, and a mended copy."""
