"""README.md tells of every file, in the words of the file itself."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "frcnn"


def every_file() -> str:
    """A line a module: its name and the first line of its docstring."""
    parts = []
    for folder in sorted({path.parent for path in PACKAGE.rglob("*.py")}):
        modules = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
        width = max(len(path.name) for path in modules)
        parts.append(f"{folder.relative_to(PACKAGE.parent).as_posix()}/")
        parts += [f"  {path.name:<{width}}  {first_line(path)}" for path in modules]
    return "\n".join(parts)


def first_line(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, path
    return docstring.partition("\n")[0]


def test_every_file_has_its_line() -> None:
    """What `every_file` says stands between <details> and </details>."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    there = text[text.index("<details>") : text.index("</details>")].splitlines()
    assert [line for line in every_file().splitlines() if line not in there] == []
    assert every_file() in text


def test_every_benchmark_and_page_is_named() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    files = [*(ROOT / "benchmarks").glob("*.*"), *(ROOT / "docs").glob("*.md")]
    assert files
    assert [path.name for path in files if path.name not in text] == []
