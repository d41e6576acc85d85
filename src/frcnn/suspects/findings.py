"""What was found in a data set: the suspects, and what they were found with; as rows, as a table, in words."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from frcnn.csv_text import as_csv
from frcnn.naming import printable
from frcnn.suspects.suspect import Suspect
from frcnn.texts import Texts

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

    def class_names(self) -> set[str]:
        """All that are named."""
        both = (one for suspect in self.suspects for one in (suspect.annotated, suspect.proposed))
        return {one.class_name for one in both if one is not None}

    def lines(self, say: Texts) -> list[str]:
        """What was compared, and how far it may be trusted."""
        lead = say(
            "page.lead",
            pictures=self.pictures,
            objects=self.objects,
            split=self.split or say("page.all_but_test"),
            model=Path(self.model).name,
        )
        return [lead, say("page.cross_validated", folds=self.folds) if self.folds else say("page.caution")]

    def to_dict(self, say: Texts) -> dict[str, Any]:
        """What --json prints."""
        return {
            "model": self.model,
            "data": [str(path) for path in self.data],
            "split": self.split,
            "folds": self.folds,
            "pictures": self.pictures,
            "objects": self.objects,
            "page": None if self.page is None else str(self.page),
            "caution": self.lines(say)[-1],
            "suspects": [suspect.as_row(say) for suspect in self.suspects],
        }

    def to_csv(self, say: Texts) -> str:
        """A row a suspect; what there is not is an empty cell."""
        return as_csv(list(_NOBODY.as_row(say)), (suspect.as_row(say).values() for suspect in self.suspects))

    def to_console(self, say: Texts) -> Group:
        """What was compared, the first ones, and where all of them are."""
        rows = [self._table(say)] if self.suspects else [Text(say("page.none"))]
        page = [] if self.page is None else [say("console.page", page=self.page, number=len(self.suspects))]
        return Group(*map(_text, self.lines(say)), *rows, *map(_text, page))

    def _table(self, say: Texts) -> Table:
        table = Table(box=box.SIMPLE, pad_edge=False, collapse_padding=True)
        table.add_column("", justify="right")
        table.add_column(say("console.suspicion"), justify="right")
        for name in ("kind", "where", "remedy"):
            table.add_column(say(f"console.{name}"), overflow="fold")
        for suspect in self.suspects[:SHOWN]:
            line = None if suspect.annotated is None else suspect.annotated.place.line
            where = suspect.annotation.name + ("" if line is None else f":{line}")
            cells = (f"{suspect.suspicion:.2f}", say(f"kind.{suspect.kind}"), where, suspect.remedy_in_words(say))
            table.add_row(str(suspect.rank), *map(_text, cells))
        return table


def _text(words: str) -> Text:
    return Text(printable(words))


_NOBODY = Suspect(0, 0.0, "missing", Path(), 0, Path(), None, None)
