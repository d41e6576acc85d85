"""From which splits a mended copy takes pictures: what is asked is not learnt."""

from frcnn.data.checking.doubles import Place
from frcnn.data.checking.examination import Examination
from frcnn.data.checking.plan import Plan
from frcnn.data.checking.split_rules import misplaced_listings


def plan_splits(plan: Plan, number: int, examination: Examination) -> None:
    """Decide about the splits of the data set of that number."""
    for leak in examination.doubles.leaks:
        if leak.picture[0] == number and leak.same:
            other = examination.picture(leak.other).path
            plan.leave_out(leak.picture[1], "picture in two splits", f"{other} is the same picture")
        elif leak.picture[0] == number:
            path, other = (examination.picture(place).path for place in leak[:2])
            plan.doubt(path, None, "alike pictures", f"does it belong in the split of {other}?")
    for repeat in examination.doubles.repeats:
        if repeat.picture[0] == number:
            path, other = (examination.picture(place).path for place in repeat[:2])
            kind = "duplicate picture" if repeat.same else "alike pictures"
            plan.doubt(path, None, kind, f"which of it and {other} is to go?")
    for picture in range(len(plan.one.said.pictures)):
        _take_out_misplaced(plan, (number, picture), examination)
    _tell_repeated_listings(plan)


def _take_out_misplaced(plan: Plan, place: Place, examination: Examination) -> None:
    for listing in misplaced_listings(examination, place):
        plan.unlisted.add(listing)
        plan.tell(listing.file, listing.line, "in two splits", f"taken out of {listing.split}")
        if plan.one.said.kind == "coco":  # whose lists of pictures are the splits
            plan.leave_out(place[1], "in two splits", f"its file is in {examination.last_split(place)} too")


def _tell_repeated_listings(plan: Plan) -> None:
    seen: set[tuple[str, int]] = set()
    for listing in plan.one.said.listings:
        if (listing.split, listing.picture) in seen:
            plan.tell(listing.file, listing.line, "listed twice", f"is in {listing.split} once")
        seen.add((listing.split, listing.picture))
