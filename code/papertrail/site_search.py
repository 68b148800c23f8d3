"""What the search index of the site holds: English words, pairs of Chinese characters, and compounds."""

import re

from sphinx.search.en import SearchEnglish

CHINESE = r"[\u4e00-\u9fff]"
RUN = re.compile(f"{CHINESE}+")


def pairs_of(run: str) -> list[str]:
    """Every two neighbors of a run of Chinese characters; a single one is itself."""
    return [run[i : i + 2] for i in range(max(1, len(run) - 1))]


class EnglishAndChineseSearch(SearchEnglish):
    """The search index of a site in English and Chinese.

    Chinese has no spaces, so Sphinx would store a whole run of characters as one word, a clause as often as not, and
    look inside words only for queries of three characters or more. So each neighboring pair is a word, both of a page
    and of a query (`js_splitter_code`); a page is found that has all pairs of the query. With clauses besides, the
    index would be a fifth larger. A number is no word: the search page ignores it. A compound is a word without its
    hyphen too: people look for "warmup", "finetuning" and "PreLN".
    """

    js_splitter_code = r"""
var splitQuery = (query) => query
  .split(/[^\p{Letter}\p{Number}_\p{Emoji_Presentation}]+/gu)
  .flatMap((word) => word.match(/[\u4e00-\u9fff]+|[^\u4e00-\u9fff]+/g) || [])
  .flatMap((word) => /^[\u4e00-\u9fff]{3,}$/.test(word) ? [...word].slice(1).map((c, i) => word[i] + c) : [word]);
"""

    def split(self, input: str) -> list[str]:
        """The English words, and every two neighbors of a run of Chinese characters."""
        pairs = [pair for run in RUN.findall(input) for pair in pairs_of(run)]
        joined = [
            word.replace("-", "") for word in re.findall(r"(?<![\w-])[A-Za-z]+-[A-Za-z]+(?![\w-])", input)
        ]
        words = [word for word in super().split(RUN.sub(" ", input)) if not word.isdigit()]
        return words + pairs + joined
