"""Notebook checks: which stored outputs nbval compares.

Text is compared in full. Figures are not compared byte for byte, because drawing differs between machines in
the last digits of coordinates; the data behind each figure is printed rounded, or tested in tests/.
"""

collect_ignore = [
    "exercises"
]  # students' notebooks stop at their stubs; their sources run in coursework/source

FIGURE = r'(?s)<(figure|fieldset) class="pt-(figure|moving)".*?</\1>'


def pytest_collection_modifyitems(items):
    for item in items:
        notebook = item.parent
        if hasattr(notebook, "sanitize_patterns"):
            notebook.sanitize_patterns[FIGURE] = "FIGURE"
            if "image/svg+xml" not in notebook.skip_compare:
                notebook.skip_compare += ("image/svg+xml",)
