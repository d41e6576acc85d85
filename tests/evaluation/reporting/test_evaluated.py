"""An evaluation with its data set: what was not analysed is analysed when it is asked for."""

from dataclasses import replace

from small_reports import THRESHOLD, an_evaluated

from frcnn.evaluation.analysis import analyse
from frcnn.evaluation.reporting.evaluated import Evaluated


def test_an_analysis_that_is_there_is_taken(tmp_path) -> None:
    evaluated = an_evaluated(tmp_path)
    analysis = analyse([], [], ["cat"])
    known = Evaluated(evaluated.dataset, replace(evaluated.evaluation, analysis=analysis), "val")
    assert known.analysis is analysis


def test_one_that_is_not_there_is_made(tmp_path) -> None:
    evaluated = an_evaluated(tmp_path)
    assert evaluated.evaluation.analysis is None
    assert evaluated.analysis.errors.threshold == THRESHOLD
    assert evaluated.analysis.errors is evaluated.judged.errors
