"""References to variables in command, args and env: `$(NAME)`, with `$$` for a literal `$`.

https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
"""

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$\$|\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)")


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Replace references by their values; a name that is not set stays as it is written."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else environment.get(match[1], match[0])

    return _REFERENCE.sub(value, text)
