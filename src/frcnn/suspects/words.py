"""What the page, the table and the remedies say, in each language."""

from frcnn.texts import Texts, texts_of


def words(language: str) -> Texts:
    """Raises UsageError where there are none of the language."""
    return texts_of("frcnn.suspects", language)


def with_article(name: str) -> str:
    """As English has it: a dog, an eel."""
    return f"{'an' if name[:1].lower() in tuple('aeiou') else 'a'} {name}"
