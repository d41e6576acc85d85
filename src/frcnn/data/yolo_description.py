"""The YAML file of a YOLO set: its splits, and the names of its classes, as they are written."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from frcnn.data.spelling import as_on_disk
from frcnn.data.yolo_names import described_names
from frcnn.errors import DataError
from frcnn.naming import excerpt, some_names

WHOLE = "trainval"  # the split of a set that has none
SPLITS = ("train", "val", WHOLE, "test")
VAL_IS_TRAIN = "val_is_train"  # by which our own writer says that val is only there for those who ask for one
MOST_DIGITS = 7  # fewer than this has any number of keypoints
SUFFIXES = (".yaml", ".yml")
USUAL = ("data.yaml", "dataset.yaml", "data.yml", "dataset.yml")
NOTHING = frozenset({"", "~", "null", "Null", "NULL"})  # as YAML writes that there is no value
LARGEST = 1 << 20  # bytes of a YAML file of another name, to be looked into


class KeyTwice(yaml.YAMLError):
    """A key that is given twice, of which PyYAML would keep the last."""

    def __init__(self, key: yaml.ScalarNode) -> None:
        super().__init__(f"the key {excerpt(key.value)} is given twice")
        self.line = key.start_mark.line + 1


class OnceLoader(yaml.BaseLoader):
    """Everything is text, and every key is there once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Raises KeyTwice."""
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise KeyTwice(key)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class Description(NamedTuple):
    """What a file says."""

    base: Path  # where its pictures lie, as it has it
    splits: Mapping[str, tuple[Path, ...]]
    names: tuple[str, ...]
    keypoints: int = 0  # numbers that follow the box of each object


def find_description(folder: Path) -> Path | None:
    """The YAML file of a folder: by its usual name, else the only one that describes a data set. Raises DataError."""
    usual = next((folder / name for name in USUAL if (folder / name).is_file()), None)
    if usual is not None:
        return usual
    files = (path for path in folder.glob("[!.]*.y*ml") if path.suffix.lower() in SUFFIXES and path.is_file())
    found = sorted(path for path in files if _describes(path))
    if len(found) > 1:
        names = some_names([path.name for path in found])
        raise DataError(f"{folder}: several files describe a data set ({names}): name one of them")
    return found[0] if found else None


def _describes(path: Path) -> bool:
    try:
        content = _loaded(path, yaml.BaseLoader) if path.stat().st_size <= LARGEST else {}
    except DataError:
        return False
    return "names" in content and any(key in content for key in (*SPLITS, "path"))


def read_description(path: Path) -> Description:
    """All that is wanted of a file. Raises DataError."""
    content = read_content(path)
    root = path.parent / _text(path, content.get("path", ""))
    root = root if root.is_dir() else path.parent  # a path that was right on another machine
    splits = {split: _places(path, root, content[split]) for split in SPLITS if content.get(split)}
    if WHOLE in splits:  # which only our own writer says: the others are there for those who ask for them
        splits = {split: places for split, places in splits.items() if split == WHOLE or places != splits[WHOLE]}
    if content.get(VAL_IS_TRAIN) == "true" and splits.get("val") == splits.get("train"):
        splits.pop("val", None)
    if not splits:
        raise DataError(f"{path}: names no pictures: it needs train, val or test, each a folder or a list of pictures")
    names = described_names(path, content.get("names"))
    return Description(root, splits, names, _keypoints(path, content.get("kpt_shape")))


def read_content(path: Path) -> dict[str, Any]:
    """The keys that have a value; every number, date or word is the text it is written with. Raises DataError.

    To YAML 1.1 a class called "no" would be False, and one called 1.10 the number 1.1.
    """
    return _loaded(path, OnceLoader)


def _loaded(path: Path, loader: type[yaml.BaseLoader]) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8-sig"), loader)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no text in UTF-8: save it in UTF-8") from error
    except RecursionError as error:
        raise DataError(f"{path}: is nested too deeply for the description of a data set") from error
    except KeyTwice as error:
        raise DataError(f"{path}, line {error.line}: {error}: take one out") from error
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
        raise DataError(f"{path}, line {line}: is no YAML ({str(error).splitlines()[0]}): mend it") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: is no data set: it needs train, val or test, and names")
    return {key: value for key, value in content.items() if not (isinstance(value, str) and value in NOTHING)}


def _places(path: Path, root: Path, value: object) -> tuple[Path, ...]:
    """One folder or list, or several."""
    values = value if isinstance(value, list) else [value]
    return tuple(_place(path, root, _text(path, place)) for place in values)


def _text(path: Path, value: object) -> str:
    """A value that names a folder or a file."""
    if not isinstance(value, str):
        raise DataError(f"{path}: has {excerpt(value)} where the name of a folder or a list is due: mend it")
    return value


def _place(path: Path, root: Path, value: str) -> Path:
    """Relative to the YAML's `path`; exported sets often say ../train/images and lie beside the YAML all the same."""
    tries = (root / value, path.parent / value, path.parent / value.removeprefix("../"))
    found = next((place for place in map(as_on_disk, tries) if place.exists()), None)
    if found is None:
        raise DataError(f"{path}: names {value}, but there is no {tries[0]}: mend the path, or take it out")
    return found


def _keypoints(path: Path, shape: object) -> int:
    """How many numbers a pose has: points, times the numbers of each."""
    if shape is None:
        return 0
    if not isinstance(shape, list) or len(shape) != 2 or not all(map(_is_number, shape)):
        raise DataError(f"{path}: its kpt_shape must be two whole numbers, [points, numbers of each]: mend it")
    return int(shape[0]) * int(shape[1])


def _is_number(value: object) -> bool:
    return isinstance(value, str) and value.isdecimal() and len(value) < MOST_DIGITS
