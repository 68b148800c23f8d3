"""What the site's builder understands in a notebook's text, and no Jupyter does."""

import re

MARKUP = re.compile(
    r"^\([\w-]+\)=|\{(?:claim|term|cite:\w|doc|ref|dropdown|exercise|ledger)\}|^:::|^:label:|\]\{\.|\.md\)",
    re.MULTILINE,
)
