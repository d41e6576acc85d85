"""The names of YOLO's classes, as a YAML file or a classes.txt has them: text, and one name for each number."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from frcnn.class_names import fault_of_name
from frcnn.errors import DataError
from frcnn.naming import excerpt

NAME_FILES = ("classes.txt", "obj.names", "_darknet.labels")


def described_names(path: Path, value: object) -> tuple[str, ...]:
    """What a YAML file says: a list, or numbers from 0 with their names. Raises DataError."""
    if isinstance(value, dict):
        numbers = [str(number) for number in range(len(value))]
        if set(value) != set(numbers):
            raise DataError(f"{path}: the numbers of its names do not count from 0 to {len(value) - 1}: mend them")
        value = [value[number] for number in numbers]
    if not isinstance(value, list):
        raise DataError(f"{path}: has no names: the names of the classes, a list or numbers with names")
    return _checked((f"{path}: the name of class {number}", name) for number, name in enumerate(value))


def name_files(folder: Path) -> Iterator[Path]:
    """Where the names of classes may stand, beside the pictures or the labels."""
    return (folder / below / name for name in NAME_FILES for below in (".", "labels"))


def listed_names(folder: Path) -> tuple[str, ...]:
    """One a line, where a file of them lies in the folder or among the labels. Raises DataError."""
    path = next((place for place in name_files(folder) if place.is_file()), None)
    return () if path is None else _checked((f"{path}, line {line}: the name", name) for line, name in _lines(path))


def _lines(path: Path) -> Sequence[tuple[int, str]]:
    """With their numbers, up to the last name: a blank one in between would give those below it other numbers."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no text in UTF-8: it must name a class a line; save it in UTF-8") from error
    return list(enumerate(text.rstrip().splitlines(), start=1))


def _checked(names: Iterable[tuple[str, object]]) -> tuple[str, ...]:
    """Without the space round them; each comes with where it stands."""
    found: dict[str, None] = {}
    for where, said in names:
        if fault := fault_of_name(said):
            raise DataError(f"{where} {fault} ({excerpt(said)}): give each number a name of its own")
        name = str(said).strip()
        if name in found:
            raise DataError(f"{where} is there twice ({excerpt(name)}): give each number a name of its own")
        found[name] = None
    return tuple(found)
