"""What a site may offer beside its pages: linked where it was made, and not a word of it where not."""

import pytest

from papertrail.site_offers import offers_of


@pytest.fixture(scope="module")
def offered(copy_sources, build, tmp_path_factory):
    """A site built with a PDF, a zip and the slides of one chapter; then a function that builds it again without."""
    folder, offers = copy_sources(tmp_path_factory.mktemp("site")), tmp_path_factory.mktemp("offers")
    (offers / "slides").mkdir()
    for name in ("paper-trail.pdf", "paper-trail-1.0.zip", "slides/gopher.html", "slides/index.html"):
        (offers / name).write_bytes(b"made up")
    assert build(folder, PAPERTRAIL_OFFERS=str(offers)).returncode == 0
    return folder / "_build" / "html", lambda: build(folder, cold=False, PAPERTRAIL_OFFERS="")


def links(site):
    return {
        (page, name)
        for page in ("index", "instructors", "gopher", "ulmfit")
        for name in ("paper-trail.pdf", "paper-trail-1.0.zip", "slides/gopher.html")
        if f'href="../{name}"' in (site / "book" / f"{page}.html").read_text()
    }


def test_a_site_links_to_what_it_offers_and_a_later_plain_build_to_nothing(offered):
    site, build_plain = offered
    files = [site / name for name in ("paper-trail.pdf", "paper-trail-1.0.zip", "slides/gopher.html")]
    assert links(site) == {
        ("index", "paper-trail.pdf"), ("index", "paper-trail-1.0.zip"), ("instructors", "slides/gopher.html"),
        ("gopher", "slides/gopher.html"),
    }  # fmt: skip
    assert all(file.exists() for file in files) and (site / "slides" / "index.html").exists()
    assert "Slides: index" not in (site / "book" / "instructors.html").read_text()
    assert build_plain().returncode == 0
    assert links(site) == set() and not any(file.exists() for file in files)


def test_a_folder_that_offers_nothing_is_named(tmp_path):
    with pytest.raises(ValueError, match="has no PDF, no zip and no slides; run `make offers`"):
        offers_of(tmp_path)
