"""The two ways in which words and values enter the HTML report: escaped text, and JSON that cannot end its element.

Whatever stands in a record is data. Text is escaped for HTML; values for the page's script are JSON in an element that
browsers do not run, in which no character is left that could close it.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from dreamerlab.atomic import to_json
from dreamerlab.report.prose import clean

# Inside a string of JSON an escape means the same character; inside a script element `</script>` would end it.
_UNSAFE = str.maketrans({one: f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"})


def escaped(text: object) -> str:
    """Return text fit for an element or a quoted attribute, without characters that turn the reading direction."""
    return html.escape(clean(str(text)))


def embedded(element_id: str, value: Mapping[str, Any]) -> str:
    """Return an inert element that carries `value` as JSON; numbers that are not finite become words."""
    content = to_json(value).translate(_UNSAFE)
    return f'<script type="application/json" id="{escaped(element_id)}">{content}</script>'
