"""Build the site with a PDF, a zip and slides beside its pages, and with links to them (`make offers`).

The zip holds the plain site, so that no link in it leads outside.
"""

import os
import shutil

import make_pdf
import make_slides
import zip_site
from build import OUTPUT, build
from papertrail import __version__

OFFERS = OUTPUT / "offers"


def main() -> int:
    """Build, make all three, build again; returns the exit status of the first step that fails."""
    os.environ.pop("PAPERTRAIL_OFFERS", None)
    shutil.rmtree(OFFERS, ignore_errors=True)
    status = (
        build(cold=False)
        or zip_site.main(["--out", str(OFFERS / f"paper-trail-{__version__}.zip")])
        or make_slides.main(["--out", str(OFFERS / "slides"), "--home", ".."])
        or make_pdf.main(["--out", str(OFFERS / "paper-trail.pdf")])
    )
    if status == 0:
        os.environ["PAPERTRAIL_OFFERS"] = str(OFFERS)
        status = build(cold=False)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
