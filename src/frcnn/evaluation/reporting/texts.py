"""The words of the report, one table for each language."""

from frcnn.texts import Texts, texts_of


def texts(language: str) -> Texts:
    """The report's table of a language. Raises UsageError where there is none."""
    return texts_of("frcnn.evaluation.reporting", language)
