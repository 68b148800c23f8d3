"""The keyboard's place is seen: each control of the header, the menus and the search has a mark on all four sides."""

from io import BytesIO

import numpy as np
import pytest
from matplotlib.image import imread

PAGE = "book/gopher.html"
AROUND = 4  # px; as far outside of a control its mark may lie
# One control of each kind in the header, the menus and the search; ids of those that the keyboard can reach now.
KINDS = """() => {
    const near = [".bd-header-article", ".bd-sidebar-primary", ".bd-sidebar-secondary", "dialog", "#pst-back-to-top"];
    const open = document.querySelector("dialog[open]") ?? document;
    const inSight = (control) => {
        const {left, right, height} = control.getBoundingClientRect(), within = left >= 0 && right <= innerWidth;
        return control.checkVisibility({checkVisibilityCSS: true}) && within && height > 1;
    };
    const kinds = new Map(), known = window.known ??= new Set();
    for (const control of open.querySelectorAll("a[href], button, input, select, summary")) {
        if (!near.some((place) => control.closest(place)) || !inSight(control)) continue;
        const classes = [...control.classList].sort(), item = control.closest("li")?.className ?? "";
        const kind = [control.tagName, ...classes, item].join(" ");
        if (!known.has(kind)) {
            known.add(kind);
            control.dataset.tried = window.tried = (window.tried ?? 0) + 1;
            kinds.set(kind, control.dataset.tried);
        }
    }
    return [...kinds.values()];
}"""
STILL = """*, ::before, ::after { transition: none !important; animation: none !important; }
* { caret-color: transparent !important; }
.tooltip { display: none !important; }"""


def look_at(page, box):
    """A control and `AROUND` pixels around it as luminances of WCAG, (height, width); what is out of sight is black."""
    size = page.viewport_size
    left, top, right, bottom = (round(edge) for edge in box)
    left, top, right, bottom = left - AROUND, top - AROUND, right + AROUND, bottom + AROUND
    x, y = max(left, 0), max(top, 0)
    clip = {"x": x, "y": y, "width": min(right, size["width"]) - x, "height": min(bottom, size["height"]) - y}
    picture = imread(BytesIO(page.screenshot(clip=clip)))[..., :3].astype(float)
    linear = np.where(picture <= 0.04045, picture / 12.92, ((picture + 0.055) / 1.055) ** 2.4)
    seen = np.zeros((bottom - top, right - left))
    seen[y - top :, x - left :][: picture.shape[0], : picture.shape[1]] = linear @ [0.2126, 0.7152, 0.0722]
    return seen


def marked_sides(before, after):
    """Along which part of its length each side of a control changed by 3:1 or more when it got the focus."""
    high, low = np.maximum(before, after) + 0.05, np.minimum(before, after) + 0.05
    changed, band = high / low >= 3, 2 * AROUND
    inside = slice(AROUND, -AROUND)
    return {
        "top": float(changed[:band, inside].any(axis=0).mean()),
        "bottom": float(changed[-band:, inside].any(axis=0).mean()),
        "left": float(changed[inside, :band].any(axis=1).mean()),
        "right": float(changed[inside, -band:].any(axis=1).mean()),
    }


def unmarked(page):
    """The controls of the page, as it stands, that lack a mark along a side, with what they have."""
    faults, tried = [], page.evaluate(KINDS)
    assert tried  # each kind once, however many menus have it
    for number in tried:
        control = page.locator(f'[data-tried="{number}"]')
        page.evaluate("document.activeElement.blur()")
        control.scroll_into_view_if_needed()
        box = control.evaluate(
            "control => (({left, top, right, bottom}) => [left, top, right, bottom])(control.getBoundingClientRect())"
        )
        bar = "inset" in control.evaluate(
            "control => getComputedStyle(control).boxShadow"
        )  # marks where one is
        before = look_at(page, box)
        page.keyboard.press("Shift")  # from here on the browser takes the focus for the keyboard's
        control.evaluate("control => control.focus({focusVisible: true, preventScroll: true})")
        sides = marked_sides(before, look_at(page, box))
        if bar:
            del sides["left"]  # there it stands, with the focus and without
        if min(sides.values()) < 0.5:  # round corners have short sides
            faults.append((control.evaluate("control => control.outerHTML")[:110], sides))
    return faults


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_control_around_the_text_shows_that_it_has_the_keyboard(open_page, width, scheme):
    page = open_page(PAGE, width=width, scheme=scheme, until="networkidle")
    page.wait_for_selector(f'html[data-theme="{scheme}"]')
    page.add_style_tag(content=STILL)
    faults = unmarked(page)
    page.locator(".dropdown-download-buttons .dropdown-toggle").click()
    faults += unmarked(page)
    page.keyboard.press("Escape")
    page.locator("button.search-button__button:visible").first.click()
    faults += unmarked(page)
    page.keyboard.press("Escape")
    for menu in ("primary", "secondary"):
        if width == 390:
            page.locator(f".{menu}-toggle").click()
            faults += unmarked(page)
            page.keyboard.press("Escape")
    assert faults == []
