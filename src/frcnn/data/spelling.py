"""Names of files as the disk spells them: what looks the same on the screen is the same file."""

import unicodedata
from pathlib import Path


def normal(name: str) -> str:
    """A name in Unicode's composed form: macOS takes letters apart (Korean syllables, accents), lists do not."""
    return unicodedata.normalize("NFC", name)


def has_other_spelling(name: str) -> bool:
    """May the disk have it otherwise? Windows has backslashes between folders."""
    return not name.isascii() or "\\" in name


def as_on_disk(path: Path) -> Path:
    """A path whose letters may be put together or taken apart, as its file and the folders above it are called.

    What is not there in either form keeps its letters.
    """
    if not has_other_spelling(path.as_posix()) or path.exists():
        return path
    if "\\" in path.name:
        return as_on_disk(path.parent / path.name.replace("\\", "/"))
    folder = as_on_disk(path.parent)
    forms = (folder / unicodedata.normalize(form, path.name) for form in ("NFC", "NFD"))
    return next((form for form in forms if form.exists()), folder / path.name)
