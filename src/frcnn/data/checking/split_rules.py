"""What is wrong with splits: pictures that are learnt and asked, in one file or in two."""

import os

from frcnn.data.checking.doubles import Double, Place
from frcnn.data.checking.examination import Examination
from frcnn.data.checking.findings import Finding, error, warning
from frcnn.data.checking.splits import in_parts, is_misplaced
from frcnn.data.checking.statements import Listing


def find_split_faults(examination: Examination) -> list[Finding]:
    """All faults of the splits of all sets together."""
    findings = _empty_sets(examination) + _listed_twice(examination) + _in_two_splits(examination)
    findings += [_leaked(examination, leak) for leak in examination.doubles.leaks]
    return findings + [_repeated(examination, repeat) for repeat in examination.doubles.repeats]


def _empty_sets(examination: Examination) -> list[Finding]:
    """Sets of which nothing can be learnt, where that has not been told of a file already."""
    return [
        error("no picture", one.said.source.root, None, "there is no picture in any split: list some, or add them")
        for one in examination.sets
        if not one.said.listings and not any(finding.severity == "error" for finding in one.said.findings)
    ]


def _listed_twice(examination: Examination) -> list[Finding]:
    findings = []
    for one in examination.sets:
        seen: dict[tuple[int, str], Listing] = {}
        for listing in one.said.listings:
            first = seen.setdefault((listing.picture, listing.split), listing)
            if first is not listing:
                name = one.said.pictures[listing.picture].path.name
                message = f"{name} is in {listing.split} already ({_place(first)}): take one out"
                findings.append(warning("listed twice", listing.file, listing.line, message))
    return findings


def _in_two_splits(examination: Examination) -> list[Finding]:
    """Told where it has to go."""
    findings = []
    for places in examination.by_path.values():
        splits = in_parts(split for place in places for split in examination.splits(place))
        if len(splits) < 2:
            continue
        listings = [listing for place in places for listing in _listings(examination, place)]
        last = next(listing for listing in listings if listing.split == splits[-1])
        for split in splits[:-1]:
            first = next(listing for listing in listings if listing.split == split)
            name = examination.picture(places[0]).path.name
            message = f"{name} is in {split} and in {splits[-1]} ({_place(last)}): take it out of {split}"
            findings.append(error("in two splits", first.file, first.line, message))
    return findings


def misplaced_listings(examination: Examination, place: Place) -> list[Listing]:
    """Those from which a picture has to go because a later split has it."""
    rank = examination.ranks[place]
    return [listing for listing in _listings(examination, place) if is_misplaced(listing.split, rank)]


def _listings(examination: Examination, place: Place) -> list[Listing]:
    return examination.sets[place[0]].listings.get(place[1], [])


def _place(listing: Listing) -> str:
    return f"{listing.file.name}, line {listing.line}" if listing.line is not None else str(listing.file)


def _leaked(examination: Examination, leak: Double) -> Finding:
    path = examination.picture(leak.picture).path
    split, other = examination.splits(leak.picture)[-1], examination.picture(leak.other).path
    named = f"{other} ({examination.splits(leak.other)[-1]})"
    if not leak.same:
        message = f"is in {split}, and very like {named}: of one scene? Then both belong in one split"
        return warning("alike pictures", path, None, message)
    message = f"is in {split}, but {named} is the same picture{_how(leak)}: take it out of {split}"
    return error("picture in two splits", path, None, message)


def _repeated(examination: Examination, repeat: Double) -> Finding:
    picture, other = examination.picture(repeat.picture), examination.picture(repeat.other).path
    path = picture.path
    if os.path.realpath(path) == os.path.realpath(other):
        return warning("listed twice", picture.annotation, picture.line, f"{path} is there already: take one out")
    if not repeat.same:
        return warning("alike pictures", path, None, f"is very like {other}: is it needed twice?")
    message = f"is the same picture as {other}{_how(repeat)}: compare their boxes, and take one out"
    return warning("duplicate picture", path, None, message)


def _how(double: Double) -> str:
    return ", byte for byte" if double.by == "bytes" else ", stored otherwise"
