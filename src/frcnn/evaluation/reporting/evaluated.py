"""An evaluation with the data set it is of: what figures and pictures are made from."""

from dataclasses import dataclass
from functools import cached_property

from frcnn.data.dataset import Dataset
from frcnn.evaluation.analysis import Analysis, analyse
from frcnn.evaluation.reporting.judged import Judged, judged
from frcnn.evaluation.results import Evaluation


@dataclass(frozen=True)
class Evaluated:
    """The detections of `evaluation` are those of the pictures of `dataset`, which is the split of this name."""

    dataset: Dataset
    evaluation: Evaluation
    split: str

    @cached_property
    def analysis(self) -> Analysis:
        """The evaluation's own; made now where VOC's figures alone were asked for."""
        if self.evaluation.analysis is not None:
            return self.evaluation.analysis
        targets = [example.target for example in self.dataset.examples]
        return analyse(self.evaluation.detections, targets, self.dataset.class_names, self.dataset.areas())

    @cached_property
    def judged(self) -> Judged:
        """Its pictures, with what is right and wrong in them."""
        return judged(self.dataset, self.evaluation.detections, self.analysis.errors)
