"""Figure and table of what a training step sends with each norm."""

from papertrail import figures as look
from papertrail.figures import Drawing
from papertrail.gopher.messages import Messages, StepMessages

PARTS = (
    ("gradients", "gradients", look.GRID), ("buffers", "running statistics", look.PURPLE),
    ("gathers", "norm, forward", look.BLUE), ("sums", "norm, backward", look.ORANGE),
)  # fmt: skip
Table = tuple[list[str], list[list[str]]]


def name_of(step: StepMessages) -> str:
    """The norm's name; "alone" where DDP does not broadcast its running statistics."""
    return step.norm.replace("none", "no norm") + ("" if step.broadcast_buffers else ", alone")


@look.styled
def draw_messages(messages: Messages) -> Drawing:
    """Calls of one step on the left, bytes beside the gradients on the right."""
    fig, (left, right) = look.new_figure(3.7, columns=2, sharey=True)
    said = []
    for y, step in enumerate(messages.steps):
        at = 0
        for field, label, color in PARTS:
            calls = len(getattr(step, field))
            left.barh(y, calls, 0.7, at, color=color, label=label if y == 0 else None)
            at += calls
        left.text(at + 0.3, y, str(at), va="center")
        end = 0.0
        for field, _, color in PARTS[1:]:
            kilobytes = sum(getattr(step, field)) / 1e3
            right.barh(y, kilobytes, 0.7, end, color=color)
            end += kilobytes
        right.text(end + 0.8, y, f"{end:.1f}", va="center")
        said.append(f"{name_of(step)} {step.calls} calls and {end:.1f} kB")
    left.set_yticks(range(len(messages.steps)), [name_of(step) for step in messages.steps])
    left.invert_yaxis()
    left.set_xlim(0, 25)
    right.set_xlim(0, 64)
    left.set_xlabel("calls in a step")
    right.set_xlabel("kB beside gradients")
    for ax in (left, right):
        ax.grid(axis="y", visible=False)
    fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    synchronized, local = (messages.find("SyncBatchNorm", kept) for kept in (True, False))
    own = len(local.gathers + local.sums)
    share = sum(local.gathers + local.sums) / sum(local.gradients)
    look.headline(fig, f"To synchronize: {own} calls more, {share:.1%} more bytes")
    alt = (
        f"One training step of a net with {len(local.gathers)} norms in {messages.processes} processes, counted: "
        f"{'; '.join(said)} beside the gradients. Gradients themselves are {sum(synchronized.gradients) / 1e6:.1f} MB "
        f"in {len(synchronized.gradients)} calls. Alone means that running statistics are not broadcast."
    )
    return fig, alt


def table_of_times(runs: dict[int, Messages]) -> Table:
    """Recorded median times of a step, by norm and number of processes, in milliseconds to two digits."""
    counts = sorted(runs)
    rows = [
        [name_of(step), str(step.calls)]
        + [
            f"{float(f'{runs[count].find(step.norm, step.broadcast_buffers).milliseconds:.2g}'):g}"
            for count in counts
        ]
        for step in runs[counts[0]].steps
    ]
    return ["norm", "calls", *(f"{count} processes (ms)" for count in counts)], rows
