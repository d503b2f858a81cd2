"""Pages from templates: every measured number in them stands there as {{name}} and comes from a committed table."""

import re
from collections.abc import Mapping

PLACE = re.compile(r"\{\{(\w+)\}\}")
MADE = "<!-- made by `make figures` from templates/{name}: change that, or the tables -->\n"


def names(template: str) -> set[str]:
    return set(PLACE.findall(template))


def fill(name: str, template: str, facts: Mapping[str, str]) -> str:
    """The page. Raises KeyError if the template asks for what is no fact."""
    return MADE.format(name=name) + PLACE.sub(lambda found: facts[found.group(1)], template)
