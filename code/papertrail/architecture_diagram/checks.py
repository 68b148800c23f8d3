"""What the ledger calls for chapter 1."""
from papertrail.architecture_diagram.drawings import diagram_of
from papertrail.architecture_diagram.history import REVISIONS
from papertrail.claims import Evidence


def first_code_agreed() -> Evidence:
    """Trace the first commit's rule and compare it with the published formula."""
    first = REVISIONS[0]
    traced = diagram_of(first.preprocess, first.postprocess)
    formula = traced.layer[0].formula
    agrees = formula == "norm(x + drop(f(x)))" and not traced.final_norm
    return Evidence({"commit": first.commits[-1], "formula": formula}, "holds" if agrees else "wrong")
