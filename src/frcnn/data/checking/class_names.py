"""Which class name is another one misspelt."""

import re
import unicodedata
from collections.abc import Mapping
from typing import NamedTuple

FEW = 2  # objects: whoever misspells a name does so now and then
RARE = 0.02  # of the other's objects
# How many objects of the other name are needed for each, by the letters of the longer word: the shorter the words are,
# the more of them lie an edit apart and are both right (car and cart, bowl and bow).
TIMES_MORE = {3: 50, 4: 20}
ELSE_TIMES_MORE = 5
LEAST_REPLACED = 4  # letters of a word in which another letter is a slip: cat and car, cup and cap are all right
# A slip beyond doubt is one of so long a word and so rare; and no letter for another (horse and house, table and cable)
CERTAIN_LETTERS, CERTAIN_MOST, CERTAIN_FREQUENT = 5, 5, 20
PLURALS = ("s", "es", "들")
GAPS = re.compile(r"[\s_-]+")


class Slip(NamedTuple):
    """What a name ought to be, and whether that is beyond doubt."""

    right: str
    is_certain: bool


def find_misspelt(counts: Mapping[str, int], *, declared: bool) -> dict[str, Slip]:
    """The frequent name for each that is misspelt, by how often each is used.

    Names that differ by case, spaces, hyphens or underscores are certainly one; the rest is judged where names are
    typed for each object and not chosen from a list (`declared`): a rare one that is an edit or a plural away from one
    that is several times as frequent. Letters of 한글 are its jamo: 강아지 and 강아치 are one letter apart.
    """
    misspelt: dict[str, Slip] = {}
    right: dict[str, str] = {}  # by their letters alone; the most frequent first
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        if _letters(name) in right:
            misspelt[name] = Slip(right[_letters(name)], is_certain=True)
            continue
        near = [] if declared else [other for other in right.values() if _is_slip(name, other, counts)]
        if near:
            misspelt[name] = Slip(near[0], _is_certain(name, near[0], counts))
        else:
            right[_letters(name)] = name
    return misspelt


def difference(first: str, second: str) -> tuple[str, str]:
    """What is left of each without the beginning and the end that they share."""
    begin = next((i for i, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]), None)
    begin = min(len(first), len(second)) if begin is None else begin
    first, second = first[begin:], second[begin:]
    end = 0
    while end < min(len(first), len(second)) and first[-1 - end] == second[-1 - end]:
        end += 1
    return first[: len(first) - end], second[: len(second) - end]


def is_one_edit(first: str, second: str) -> bool:
    """Does one become the other by a letter more, less or other, or two changing places? A plural is one too."""
    lost, gained = difference(first, second)
    if lost == gained:
        return False
    return max(len(lost), len(gained)) == 1 or _change_places(lost, gained) or _is_plural(first, second)


def _change_places(lost: str, gained: str) -> bool:
    return len(lost) == 2 and lost == gained[::-1]


def _is_plural(first: str, second: str) -> bool:
    """Of each other, whichever is the plural."""
    shorter, longer = sorted((first, second), key=len)
    return longer in [shorter + unicodedata.normalize("NFD", ending) for ending in PLURALS]


def _letters(name: str) -> str:
    """In lower case, jamo and accents apart, without gaps."""
    return GAPS.sub("", unicodedata.normalize("NFD", name).casefold())


def _words_that_differ(name: str, other: str) -> tuple[str, str]:
    """The one word of several in which two names differ (type a, type b); else all letters."""
    words, others = ([_letters(word) for word in GAPS.split(text.strip())] for text in (name, other))
    if len(words) == len(others):
        pairs = [pair for pair in zip(words, others, strict=True) if pair[0] != pair[1]]
        if len(pairs) == 1:
            return pairs[0]
    return _letters(name), _letters(other)


def _has_one_sign(word: str) -> bool:
    """A letter, or a syllable of 한글: 소 and 손 are two words."""
    return len(unicodedata.normalize("NFC", word)) < 2


def _is_slip(name: str, other: str, counts: Mapping[str, int]) -> bool:
    if counts[name] * ELSE_TIMES_MORE > counts[other]:  # the least that any slip takes, and the cheapest to see
        return False
    first, second = _words_that_differ(name, other)
    lost, gained = difference(first, second)
    if not is_one_edit(first, second) or any(sign.isdigit() for sign in lost + gained):
        return False  # class 1 and class 2 are no slips of each other
    if _is_plural(first, second):
        return True
    longest = max(len(first), len(second))
    if _has_one_sign(first) or _has_one_sign(second) or (longest < LEAST_REPLACED and len(lost) == len(gained) == 1):
        return False
    most = max(FEW, RARE * counts[other]) if longest not in TIMES_MORE else FEW
    return counts[name] <= most and counts[name] * TIMES_MORE.get(longest, ELSE_TIMES_MORE) <= counts[other]


def _is_certain(name: str, other: str, counts: Mapping[str, int]) -> bool:
    first, second = _words_that_differ(name, other)
    lost, gained = difference(first, second)
    is_rare = counts[name] <= min(CERTAIN_MOST, max(1, RARE * counts[other])) and counts[other] >= CERTAIN_FREQUENT
    is_long = min(len(first), len(second)) >= CERTAIN_LETTERS
    return is_rare and is_long and (len(lost) + len(gained) == 1 or _change_places(lost, gained))
