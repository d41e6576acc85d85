"""torch and torchvision come in pairs; what is said where they do not match."""

from importlib.metadata import version


def explain_mismatch(error: Exception) -> str | None:
    """One line in place of torchvision's "operator torchvision::nms does not exist"; None for any other error."""
    if not isinstance(error, RuntimeError) or "torchvision::" not in str(error):
        return None
    return (
        f"torchvision {version('torchvision')} was built for another torch than {version('torch')}: install both from "
        "one place, such as pip install --force-reinstall torch torchvision"
    )
