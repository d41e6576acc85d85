"""A mended copy of data sets in a new folder; the originals are never touched."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from frcnn.csv_text import as_csv
from frcnn.data.checking.check import Report, examine_paths, report_on
from frcnn.data.checking.class_rules import misspelt_classes
from frcnn.data.checking.examination import Examination, ExaminedSet
from frcnn.data.checking.findings import Finding
from frcnn.data.checking.looks import Look
from frcnn.data.checking.mended_coco import write_coco
from frcnn.data.checking.mended_voc import write_voc
from frcnn.data.checking.mended_yolo import write_yolo
from frcnn.data.checking.plan import Deed, Plan, begun_plan
from frcnn.data.checking.plan_boxes import plan_boxes, plan_classes, untangle
from frcnn.data.checking.plan_pictures import plan_pictures
from frcnn.data.checking.plan_splits import plan_splits
from frcnn.data.coco import CocoSet
from frcnn.data.voc import VocSet
from frcnn.errors import DataError
from frcnn.files import folder_written_whole, require_folder_apart
from frcnn.progress import Advance

LOG = "mended.csv"


@dataclass(frozen=True)
class Mended:
    """What was done for a copy, and what is still wrong with it."""

    folder: Path
    deeds: tuple[Deed, ...]
    errors: tuple[Finding, ...]  # of the copy, which was checked anew

    @property
    def left(self) -> list[Deed]:
        """What nothing could be decided about."""
        return [deed for deed in self.deeds if not deed.done]


def mend_dataset(
    examination: Examination, refused: Sequence[Finding], target: Path, progress: Advance | None = None
) -> Mended:
    """Write a copy without errors into `target`, which must be new or empty: it is there whole or not at all.

    Raises UsageError where something is in the way, DataError where there is nothing to copy, or to learn in the copy.
    """
    if not examination.sets:
        raise DataError(f"{refused[0].where}: {refused[0].message}: nothing can be mended before")
    require_folder_apart(target, (place for one in examination.sets for place in _places(one)))
    plans = plan_all(examination)
    _require_something_to_learn(plans)
    left_out = [Deed(finding.file, finding.line, finding.kind, f"left out: {finding.message}") for finding in refused]
    deeds = (*left_out, *(deed for plan in plans for deed in plan.deeds))
    with folder_written_whole(target) as aside:
        for plan, folder in zip(plans, _folders(examination.sets, aside), strict=True):
            folder.mkdir(parents=True, exist_ok=True)
            _write(plan, folder, progress or _quietly)
        _write_log(aside / LOG, deeds)
        report = _checked(aside, examination)
        errors = tuple(_moved(finding, aside, target) for finding in report.errors)
    return Mended(target, deeds, errors)


def _require_something_to_learn(plans: Sequence[Plan]) -> None:
    """Raises DataError where all that is learnt is asked as well: a copy without any of it would be no mended one."""
    learnt = [(plan, split) for plan in plans for split in ("train", "trainval")]
    if any(plan.kept_listings(split) for plan, split in learnt):
        return
    for plan, split in learnt:
        if any(listing.split == split for listing in plan.unlisted):
            raise DataError(
                f"{plan.one.said.source.root}: cannot be mended: all pictures of {split} are in val or test as well, "
                "so that none would be left to learn: give these others, or take val out, so that a part is held out"
            )


def _places(one: ExaminedSet) -> Iterator[Path]:
    """Where a data set's pictures lie, which may be elsewhere than what names them."""
    yield from {picture.path.parent for picture in one.said.pictures}


def plan_all(examination: Examination) -> list[Plan]:
    """One for each data set."""
    misspelt = misspelt_classes(examination)
    plans = [begun_plan(one, misspelt) for one in examination.sets]
    for number, plan in enumerate(plans):
        _tell_what_was_not_read(plan)
        untangle(plan)
        plan_pictures(plan)
        plan_splits(plan, number, examination)
        plan_boxes(plan)
        plan_classes(plan)
    return plans


def _tell_what_was_not_read(plan: Plan) -> None:
    """What could not be taken down is not copied; what was only counted is."""
    become = {"no split": "all pictures are in trainval", "duplicate id": "told apart or left out"}
    for finding in plan.one.said.findings:
        if finding.severity == "error":
            told = finding.message.rsplit(": ", 1)[0]
            plan.tell(finding.file, finding.line, finding.kind, f"{become.get(finding.kind, 'left out')}: {told}")


def _write(plan: Plan, folder: Path, progress: Advance) -> None:
    source = plan.one.said.source
    if isinstance(source, VocSet):
        write_voc(plan, source, folder, progress)
    elif isinstance(source, CocoSet):
        write_coco(plan, source, folder, progress)
    else:
        write_yolo(plan, source, folder, progress)


def _folders(sets: Sequence[ExaminedSet], target: Path) -> list[Path]:
    """Where each copy goes: the only one into the folder itself, several beside one another, by their names."""
    roots = list(dict.fromkeys(os.path.realpath(one.said.source.root) for one in sets))
    if len(roots) == 1:
        return [target] * len(sets)
    names: dict[str, str] = {}
    for root in roots:
        name = Path(root).name or "data"
        taken = set(names.values())
        names[root] = next(
            new for n in range(1, len(roots) + 1) if (new := name if n == 1 else f"{name}_{n}") not in taken
        )
    return [target / names[os.path.realpath(one.said.source.root)] for one in sets]


def _write_log(path: Path, deeds: Sequence[Deed]) -> None:
    rows = ((str(deed.file), deed.line, deed.kind, "yes" if deed.done else "no", deed.what) for deed in deeds)
    text = as_csv(("file", "line", "kind", "done", "what"), rows)
    path.write_text(text, encoding="utf-8", errors="surrogateescape")


def _checked(folder: Path, examination: Examination) -> Report:
    """The copy's own report; pictures that were only copied are known by their bytes."""
    known: dict[bytes, Look] = {
        look.digest: look for one in examination.sets for look in one.looks if look is not None and not look.problem
    }
    return report_on(*examine_paths([folder], known))


def _moved(finding: Finding, aside: Path, target: Path) -> Finding:
    """Told of where the copy will be."""
    try:
        file = target / finding.file.relative_to(aside)
    except ValueError:
        file = finding.file
    return replace(finding, file=file)


def _quietly(_done: int, _of: int | None) -> None:
    pass
