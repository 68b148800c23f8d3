"""The words that the search index keeps."""

import pytest

from papertrail.site_search import EnglishAndChineseSearch


@pytest.mark.parametrize(("text", "words"), [
    ("Layer norms", {"Layer", "norms"}),
    ("层归一化", {"层归", "归一", "一化"}),
    ("熵，预热", {"熵", "预热"}),
    ("用LayerNorm做", {"用", "LayerNorm", "做"}),
    ("48 layers of 2017", {"layers", "of"}),
    ("warm-up", {"warm", "up", "warmup"}),
])  # fmt: skip
def test_a_text_is_kept_as_words_pairs_and_compounds(text, words):
    assert set(EnglishAndChineseSearch({}).split(text)) == words
