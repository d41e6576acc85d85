"""The doctor: every fault of some data sets, each with its place and its remedy, and how large they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frcnn.data.checking.box_rules import find_box_faults
from frcnn.data.checking.class_rules import find_class_faults
from frcnn.data.checking.examination import Examination, NamedSource, examine
from frcnn.data.checking.findings import Finding, as_finding, in_order
from frcnn.data.checking.looks import Look
from frcnn.data.checking.picture_rules import find_picture_faults
from frcnn.data.checking.split_rules import find_split_faults
from frcnn.data.checking.summary import Summary, summarise
from frcnn.data.recognise import find_sources
from frcnn.errors import DataError
from frcnn.progress import Advance

UNREADABLE_SET = "unreadable data set"


@dataclass(frozen=True)
class Report:
    """Findings, errors first, and a summary."""

    findings: tuple[Finding, ...]
    summary: Summary

    @property
    def names(self) -> list[str]:
        """What to call all that was checked, or could not be."""
        refused = (str(finding.file) for finding in self.findings if finding.kind == UNREADABLE_SET)
        return [*self.summary.sets, *dict.fromkeys(refused)]

    @property
    def errors(self) -> list[Finding]:
        """What has to be mended."""
        return [finding for finding in self.findings if finding.severity == "error"]

    @property
    def warnings(self) -> list[Finding]:
        """What has to be looked at."""
        return [finding for finding in self.findings if finding.severity == "warning"]

    def to_dict(self) -> dict[str, Any]:
        """As `frcnn data check --json` tells it."""
        return {
            "errors": [finding.to_dict() for finding in self.errors],
            "warnings": [finding.to_dict() for finding in self.warnings],
            "summary": self.summary.to_dict(),
        }


def check_dataset(paths: Sequence[Path], progress: Advance | None = None) -> Report:
    """Check the data sets at `paths` together, as they would be trained on. Raises DataError where there is none."""
    return report_on(*examine_paths(paths, progress=progress))


def examine_paths(
    paths: Sequence[Path], known: dict[bytes, Look] | None = None, progress: Advance | None = None
) -> tuple[Examination, list[Finding]]:
    """What is known of all data sets, and what keeps others from being read at all. Raises DataError for no data."""
    sources: dict[tuple[Path, str], NamedSource] = {}
    refused: list[Finding] = []
    for path in paths:
        try:
            found = find_sources(path)
        except DataError as refusal:
            if not path.exists():
                raise
            refused.append(as_finding(refusal, UNREADABLE_SET, path))
            continue
        for source in found:
            name = str(path if path.is_file() else source.root)
            sources.setdefault((source.root.resolve(), source.title), (name, source))
    return examine(list(sources.values()), known, progress), refused


def report_on(examination: Examination, refused: Sequence[Finding] = ()) -> Report:
    """Ask all the rules."""
    findings = list(refused)
    for one in examination.sets:
        findings += [*one.said.findings, *find_picture_faults(one), *find_box_faults(one)]
    findings += find_split_faults(examination) + find_class_faults(examination)
    return Report(tuple(in_order(findings)), summarise(examination))
