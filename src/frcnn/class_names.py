"""What may be the name of a class: one rule for data sets and models."""

import re

UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML has no place for


def fault_of_name(value: object) -> str:
    """Why it cannot be the name of a class, in words that follow what it is; "" where it can.

    A name is text that all formats and model files can hold. Space round it is no part of it: VOC's files cannot tell.
    """
    if not isinstance(value, str):
        return "is no text"
    if not value.strip():
        return "is blank"
    if UNWRITABLE.search(value.strip()):
        return "holds a character that no file can hold"
    return "holds the end of a line" if len(value.strip().splitlines()) > 1 else ""  # to XML, all such ends are one
