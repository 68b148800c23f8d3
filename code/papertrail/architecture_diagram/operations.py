"""What torch's operations do to a residual stream, by name. Whatever is not listed is taken for work of its own."""

from papertrail.architecture_diagram.recording import Node

FUSED = {"native_layer_norm": "layernorm", "native_group_norm": "layernorm", "_fused_rms_norm": "rmsnorm"}
REDUCTIONS = {
    "mean", "sum", "var", "std", "var_mean", "std_mean", "linalg_vector_norm", "norm", "bmm", "mm", "dot", "mv",
}  # fmt: skip
CONTRACTIONS = {"bmm", "mm", "dot", "mv"}  # a reduction only where a vector meets itself
COPIES = {
    "view", "_unsafe_view", "reshape", "_reshape_alias", "t", "transpose", "permute", "clone", "contiguous",
    "_to_copy", "to", "detach", "alias", "expand", "squeeze", "unsqueeze", "lift_fresh", "copy", "flatten",
    "unflatten", "repeat",
}  # fmt: skip

# Operations that mix the entries of a vector or the positions of a sequence.
MIXING = {
    "mm", "addmm", "bmm", "baddbmm", "addbmm", "mv", "addmv", "dot", "convolution", "_convolution", "_grouped_mm",
    "avg_pool1d", "avg_pool2d", "_adaptive_avg_pool2d", "max_pool2d_with_indices", "cumsum", "_fft_c2c", "_fft_r2c",
    "_fft_c2r", "mkldnn_linear", "_scaled_mm", "_int_mm", "linear", "matmul", "einsum", "lstm", "gru",
    "mkldnn_rnn_layer", "_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_attention_math", "_efficient_attention_forward", "_flash_attention_forward",
}  # fmt: skip
ATTENTION = {name for name in MIXING if "attention" in name}
BETWEEN_POSITIONS = {
    "avg_pool1d", "avg_pool2d", "cumsum", "_fft_c2c", "_fft_r2c", "lstm", "gru", "mkldnn_rnn_layer",
}  # fmt: skip
# Operations that hand their first input on, whole or in part.
PARTS = {
    "slice", "select", "narrow", "roll", "flip", "constant_pad_nd", "unbind", "split", "split_with_sizes", "chunk",
    "index_select", "gather", "index", "unfold", "as_strided", "native_dropout", "_fused_dropout", "clamp",
    "clamp_min", "clamp_max", "nan_to_num", "masked_fill", "diagonal", "unsafe_split", "overlap", "tril", "triu",
    "pixel_shuffle", "pixel_unshuffle", "movedim",
}  # fmt: skip
OPAQUE = {"_transformer_encoder_layer_fwd"}  # a whole block in one operation, norms and sums included
DROPOUTS = {"native_dropout", "_fused_dropout"}
SCALING = {"mul", "div", "neg"}
SUMS = {"add", "sub", "rsub", "addmm", "baddbmm", "addcmul", "index_add", "scatter_add", "index_put", "lerp"}
FUSED_SUMS = {"addmm", "baddbmm", "addcmul"}  # the first input is added to a product of the others


def same(node: Node) -> Node:
    """Follow copies, views and conversions back to the value that they show."""
    while node.op in COPIES and node.inputs:
        node = node.inputs[0]
    return node


def drops(node: Node) -> bool:
    """Whether an operation is a dropout: one by name, or a product with random numbers."""
    return node.op in DROPOUTS or (node.op in SCALING and any(parent.random for parent in node.inputs))


def is_mixing(node: Node) -> bool:
    """Whether an operation can bring news from other entries: known ones, and all foreign ones."""
    return node.op in MIXING or ("::" in node.op and len(node.inputs) > 0)


def same_stack(node: Node) -> Node | None:
    """The stack whose members a `sum` over the stacking axis adds, or None."""
    source = same(node.inputs[0])
    if source.op != "stack":
        return None
    axis = source.args[1] if len(source.args) > 1 else source.kwargs.get("dim", 0)
    over = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    return source if over is not None and list(over) == [axis] else None
