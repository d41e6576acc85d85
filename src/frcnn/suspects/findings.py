"""What was found in a data set: the suspects, and what they were found with; as rows, as a table, in words."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from frcnn.suspects.suspect import Suspect
from frcnn.suspects.words import WORDS, Language

SHOWN = 20  # rows of the console's table


@dataclass(frozen=True)
class Suspects:
    """The most suspicious first."""

    suspects: tuple[Suspect, ...]
    model: str
    data: tuple[Path, ...]
    split: str | None  # None: everything but `test`
    folds: int  # 0 where the model itself was asked
    pictures: int
    objects: int  # not counting those that cannot be suspected: difficult ones and crowds
    page: Path | None = None  # where it was written

    def lines(self, language: Language) -> list[str]:
        """What was compared, and how far it may be trusted."""
        words = WORDS[language]
        caution = words["cross_validated"] if self.folds else words["caution"]
        split = self.split or words["all_but_test"]
        values = {"pictures": self.pictures, "objects": self.objects, "split": split, "folds": self.folds}
        return [line.format(**values, model=Path(self.model).name) for line in (words["lead"], caution)]

    def to_dict(self, language: Language) -> dict[str, Any]:
        """What --json prints."""
        return {
            "model": self.model,
            "data": [str(path) for path in self.data],
            "split": self.split,
            "folds": self.folds,
            "pictures": self.pictures,
            "objects": self.objects,
            "page": None if self.page is None else str(self.page),
            "caution": self.lines(language)[-1],
            "suspects": [suspect.as_row(language) for suspect in self.suspects],
        }

    def to_csv(self, language: Language) -> str:
        """A row a suspect; what there is not is an empty cell."""
        text = io.StringIO()
        names = list(_NOBODY.as_row(language))
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(suspect.as_row(language) for suspect in self.suspects)
        return text.getvalue()

    def to_console(self, language: Language) -> Group:
        """What was compared, the first ones, and where all of them are."""
        pages = (
            [] if self.page is None else [f"{self.page}: {WORDS[language]['page'].format(count=len(self.suspects))}"]
        )
        rows = [self._table(language)] if self.suspects else [Text(WORDS[language]["none"])]
        return Group(*map(Text, self.lines(language)), *rows, *map(Text, pages))

    def _table(self, language: Language) -> Table:
        words = WORDS[language]
        table = Table(box=box.SIMPLE, pad_edge=False, collapse_padding=True)
        table.add_column("", justify="right")
        table.add_column(words["suspicion"], justify="right")
        for name in ("kind", "where", "remedy"):
            table.add_column(words[name], overflow="fold")
        for suspect in self.suspects[:SHOWN]:
            where = suspect.annotation.name + (f":{suspect.place.line}" if suspect.place and suspect.place.line else "")
            cells = (f"{suspect.suspicion:.2f}", words[suspect.kind], where, suspect.say(language))
            table.add_row(str(suspect.rank), *map(Text, cells))
        return table


_NOBODY = Suspect(0, 0.0, "missing", Path(), 0, Path(), None, None, None, None, None, None, "add")
