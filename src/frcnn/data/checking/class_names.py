"""Which class name is another one misspelt."""

import re
from collections.abc import Mapping

RARE = 0.02  # of the other's objects: whoever misspells a name does so now and then
MOST_RARE = 5
LEAST_FREQUENT = 20
LEAST_LETTERS = 5  # cat, car and cow are all right


def find_misspelt(counts: Mapping[str, int], *, declared: bool) -> dict[str, str]:
    """The frequent name for each that is misspelt, by how often each is used.

    Names that differ by case, spaces, hyphens or underscores are one; the rest is judged where names are typed for
    each object and not chosen from a list (`declared`): a rare one that is an edit or a plural away from a frequent
    one.
    """
    by_frequency = sorted(counts, key=lambda name: (-counts[name], name))
    misspelt: dict[str, str] = {}
    plain: dict[str, str] = {}
    for name in by_frequency:
        frequent = plain.setdefault(_plain(name), name)
        if frequent != name:
            misspelt[name] = frequent
    if declared:
        return misspelt
    for name in reversed(by_frequency):
        near = [other for other in by_frequency if other not in misspelt and _is_slip(name, other, counts)]
        if name not in misspelt and near:
            misspelt[name] = near[0]
    return misspelt


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()


def _is_slip(name: str, other: str, counts: Mapping[str, int]) -> bool:
    rare = counts[name] <= min(MOST_RARE, max(1, RARE * counts[other])) and counts[other] >= LEAST_FREQUENT
    if not rare or min(len(name), len(other)) < LEAST_LETTERS:
        return False
    return is_one_edit(_plain(name), _plain(other))


def is_one_edit(first: str, second: str) -> bool:
    """Does one become the other by a letter more, less or other, or two changing places? A plural's -s is one too."""
    if first == second:
        return False
    if len(first) > len(second):
        first, second = second, first
    if len(second) - len(first) > 1:
        return second == first + "es"
    begin = next((i for i, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]), len(first))
    if len(first) < len(second):
        return first[begin:] == second[begin + 1 :]
    rest = first[begin + 1 :] == second[begin + 1 :]
    return rest or (
        first[begin : begin + 2] == second[begin : begin + 2][::-1] and first[begin + 2 :] == second[begin + 2 :]
    )
