"""What is wrong with classes: misspelt ones, and those that a split has no example of."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from frcnn.data.checking.class_names import Slip, find_misspelt
from frcnn.data.checking.examination import Examination, ExaminedSet
from frcnn.data.checking.findings import Finding, warning
from frcnn.data.dataset import SPLITS
from frcnn.data.index import CROWD, DIFFICULT
from frcnn.naming import counted, some_names

ALL_SHOWN = 12  # class names in one line; where there are more, --json and the page have them
USED_TOGETHER = (("train", "trainval"), ("val",), ("test",))  # one set may have train, and another trainval


def find_class_faults(examination: Examination) -> list[Finding]:
    """All faults of the classes of all sets together."""
    return _misspelt(examination) + _without_examples(examination)


def misspelt_classes(examination: Examination) -> dict[str, Slip]:
    """The right name for each wrong one."""
    return find_misspelt(_count_all(examination), declared=any(one.said.kind != "voc" for one in examination.sets))


def _count_all(examination: Examination) -> Counter[str]:
    """The objects of each class, in whatever split."""
    counts = Counter({name: 0 for one in examination.sets for name in one.said.class_names})
    for one in examination.sets:
        used = np.bincount(one.said.objects.class_id, minlength=len(one.said.class_names))
        counts.update(dict(zip(one.said.class_names, used.tolist(), strict=True)))
    return counts


def count_objects(examination: Examination, *, set_aside: bool = True) -> dict[str, dict[str, int]]:
    """Of each class in each split, in the order of the splits; pictures in none are left out.

    Without `set_aside` objects that are difficult or a crowd are not counted.
    """
    found: dict[str, Counter[str]] = {}
    for one in examination.sets:
        names, objects = one.said.class_names, one.said.objects
        counted_here = set_aside | (objects.flags & (CROWD | DIFFICULT) == 0)
        for split in SPLITS:
            inside = np.array([split in splits for splits in one.splits], bool)
            if inside.any():
                class_ids = objects.class_id[inside[objects.picture] & counted_here]
                counts = np.bincount(class_ids, minlength=len(names))
                found.setdefault(split, Counter()).update(dict(zip(names, counts.tolist(), strict=True)))
    return {split: dict(found[split]) for split in SPLITS if split in found}


def _misspelt(examination: Examination) -> list[Finding]:
    findings, counts = [], _count_all(examination)
    for wrong, (right, is_certain) in misspelt_classes(examination).items():
        for one in examination.sets:
            if wrong in one.said.class_names:
                file, line, count = _first_use(one, wrong)
                message = f"the class {wrong!r} ({counted(count, 'object')}) is probably {right!r} "
                message += f"({counts[right]:,}) misspelt: rename it{'' if is_certain else ', unless it is meant'}"
                findings.append(warning("misspelt class", file, line, message))
    return findings


def _first_use(one: ExaminedSet, name: str) -> tuple[Path, int | None, int]:
    """Where a class is named first, and how often it is."""
    objects = one.said.objects
    rows = np.flatnonzero(objects.class_id == one.said.class_names.index(name))
    if not len(rows):
        return one.said.source.root, None, 0
    file = one.said.pictures[int(objects.picture[rows[0]])].annotation
    line = int(objects.class_line[rows[0]] or objects.line[rows[0]])
    return file, line, len(rows)


def _without_examples(examination: Examination) -> list[Finding]:
    counts, plain = count_objects(examination), count_objects(examination, set_aside=False)
    if not counts:
        return []
    misspelt = misspelt_classes(examination)  # told already
    names = dict.fromkeys(name for one in examination.sets for name in one.said.class_names if name not in misspelt)
    root = examination.sets[0].said.source.root
    unused = [name for name in names if not any(of_split.get(name) for of_split in counts.values())]
    findings = [_line(root, "without an object in any split", unused)] if unused else []
    for together in USED_TOGETHER:
        splits = [split for split in together if split in counts]
        where = f"in the split{'s' * (len(splits) > 1)} {' and '.join(splits)}"
        present = [name for name in names if any(counts[split].get(name) for split in splits)]
        lacking = [name for name in names if name not in unused and name not in present]
        if splits and lacking:
            findings.append(_line(root, f"without an object {where}", lacking))
        only_set_aside = [name for name in present if not any(plain[split].get(name) for split in splits)]
        if only_set_aside:
            what = f"with none but difficult or crowd objects {where}"
            findings.append(_line(root, what, only_set_aside, remedy="add others"))
    return findings


def _line(root: Path, what: str, names: Iterable[str], remedy: str = "add some") -> Finding:
    names = sorted(names)  # the same for a set and its copy
    message = f"{counted(len(names), 'class', 'classes')} {what}: "
    message += ", ".join(names) if len(names) <= ALL_SHOWN else some_names(names)
    return warning("class without objects", root, None, f"{message}: {remedy}, or do not ask for it", names)
