"""Pages of HTML that need nothing outside them: how their templates are found and filled."""

from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template


def render_page(name: str, *folders: tuple[str, str], **values: object) -> str:
    """The template `name`, filled; whatever is not our own markup is escaped.

    `folders`, each of a package and a folder in it, are searched in turn, for what a template includes as well. Raises
    jinja2's errors for a template or a value that is not there.
    """
    page = _template(name, folders).render(values)
    return page.encode("utf-8", "replace").decode("utf-8")  # names of files may hold bytes that are no text


@cache
def _template(name: str, folders: tuple[tuple[str, str], ...]) -> Template:
    loader = ChoiceLoader([PackageLoader(*folder) for folder in folders])
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)
