"""What all formats' copies have in common: pictures, and the papers that have to travel with them."""

import shutil
from pathlib import Path

from frcnn.data.checking.plan import Plan
from frcnn.data.checking.upright import store_upright
from frcnn.files import make_folder

PAPERS = ("licence", "license", "copying", "notice", "readme", "citation")  # how the names of such files begin


def put_picture(plan: Plan, number: int, target: Path) -> None:
    """A picture, as it is or stored anew; once, however many speak of it."""
    if target.exists():
        return
    make_folder(target.parent)
    if number in plan.stored_anew:
        store_upright(plan.one.said.pictures[number].path, target)
    else:
        shutil.copyfile(plan.one.said.pictures[number].path, target)


def put_file(source: Path, target: Path) -> None:
    """A file as it is, without the permissions of the old one."""
    make_folder(target.parent)
    shutil.copyfile(source, target)


def put_papers(root: Path, target: Path) -> None:
    """The licence and whatever else tells where a data set is from."""
    for path in sorted(root.iterdir()):
        if path.is_file() and path.name.lower().startswith(PAPERS):
            put_file(path, target / path.name)


def round_number(number: float, digits: int = 4) -> float | int:
    """Without digits that mean nothing: 12 and 12.5, not 12.0 and 12.499999."""
    rounded = round(number, digits)
    return int(rounded) if rounded.is_integer() else rounded
