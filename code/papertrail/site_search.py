"""What the search index of the site holds beside its English words: pairs of Chinese characters, and compounds."""

import re

from sphinx.search.en import SearchEnglish

CHINESE = r"[\u4e00-\u9fff]"


class EnglishAndChineseSearch(SearchEnglish):
    """The search index of an English site with Chinese terms.

    Chinese has no spaces, so Sphinx stores a whole run of characters as one word, and the search page looks inside
    words only for queries of three characters or more. Each neighboring pair is therefore a word too. So is a
    compound without its hyphen: people look for "warmup", "finetuning" and "PreLN".
    """

    def split(self, input: str) -> list[str]:
        """The English words, and every two neighbors of a run of Chinese characters."""
        runs = re.findall(f"{CHINESE}{{3,}}", input)
        pairs = [run[i : i + 2] for run in runs for i in range(len(run) - 1)]
        joined = [
            word.replace("-", "") for word in re.findall(r"(?<![\w-])[A-Za-z]+-[A-Za-z]+(?![\w-])", input)
        ]
        return super().split(input) + pairs + joined
