"""Previous and next follow the story, whatever the table of contents groups."""

import re

import pytest
import yaml

from papertrail.site_story import neighbors

SMALL = {
    "root": "book/index",
    "parts": [
        {"caption": "Start", "chapters": [{"file": "book/how_to_use"}, {"file": "book/a_tool"}]},
        {"caption": "Chapters", "numbered": True, "chapters": [{"file": "book/one"}, {"file": "book/two"}]},
        {
            "caption": "Coursework",
            "chapters": [{"file": "book/exercises/one"}, {"file": "book/exercises/two"}],
        },
        {"caption": "Reference", "chapters": [{"file": "book/claims"}, {"file": "book/errata"}]},
    ],
}


def test_the_story_runs_from_the_start_over_the_chapters_to_the_ledger():
    found = neighbors(SMALL)
    assert found["book/index"] == (None, "book/how_to_use")
    assert found["book/how_to_use"] == ("book/index", "book/one")
    assert found["book/two"] == ("book/one", "book/claims")
    assert found["book/claims"] == ("book/two", None)


def test_an_assignment_leads_back_to_its_chapter_and_on_to_the_next():
    found = neighbors(SMALL)
    assert found["book/exercises/one"] == ("book/one", "book/two")
    assert found["book/exercises/two"] == ("book/two", "book/claims")


def test_translations_follow_one_another():
    pages = [{"file": "book/zh/index"}, {"file": "book/zh/one"}]
    found = neighbors(SMALL | {"parts": [*SMALL["parts"], {"caption": "中文", "chapters": pages}]})
    assert found["book/zh/index"] == (None, "book/zh/one") and found["book/zh/one"] == ("book/zh/index", None)
    assert found["book/claims"] == ("book/two", None)


def test_other_pages_keep_the_order_of_the_contents():
    assert not {"book/a_tool", "book/errata"} & set(neighbors(SMALL))


@pytest.mark.parametrize("place", [0, 1])
def test_the_built_pages_lead_there(site, root, place):
    """Each page of the story has the links that the rule gives, and the last and the first have one."""
    rule = neighbors(yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8")))
    assert len(rule) >= 16
    for page, others in rule.items():
        text = (site / f"{page}.html").read_text(encoding="utf-8")
        name = ("left-prev", "right-next")[place]
        found = re.search(rf'<a class="{name}"\s+href="([^"]+)"', text)
        if others[place] is None:
            assert found is None, page
        else:
            assert (site / page).parent.joinpath(found[1]).resolve() == (
                site / f"{others[place]}.html"
            ).resolve()
