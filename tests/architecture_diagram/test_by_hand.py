"""The pencil case of the chapter, worked out here a second time."""

from papertrail.architecture_diagram.by_hand import measure_by_hand


def test_the_same_two_sub_layers_give_opposite_answers_in_the_two_orders():
    steps = [(s.rule, s.sublayer, s.before, s.after) for s in measure_by_hand()]
    assert steps == [
        ("none/an", "1", (1, -1), (1, -1)),  # 1 + 3 = 4, and the norm makes 4 a 1
        ("none/an", "2", (1, -1), (-1, 1)),  # 1 - 2 = -1
        ("none/an", "end", (-1, 1), (-1, 1)),
        ("n/a", "1", (1, -1), (4, -4)),
        ("n/a", "2", (4, -4), (2, -2)),  # 4 - 2: the branch saw the norm, the sum did not
        ("n/a", "end", (2, -2), (1, -1)),
    ]


def test_sub_layers_that_agree_in_sign_give_the_same_answer():
    ends = [step.after for step in measure_by_hand((3.0, 2.0)) if step.sublayer == "end"]
    assert ends == [(1, -1), (1, -1)]
