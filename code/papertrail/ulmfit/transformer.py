"""A small causal Transformer with the AWD-LSTM's interface, so that the recipe can be tried on what replaced the LSTM.

A decoder as in GPT-1 (Radford et al. 2018, section 4.1): causal self-attention, GELU, learned positions, a softmax
tied to the embedding. Two things are of later practice: normalization before each sublayer instead of after it
(Pre-LN), with one more norm at the end.
"""

import torch
from torch import Tensor, nn

from papertrail.experiments import at_least_one
from papertrail.ulmfit.awd_lstm import Encoded, State, share_below_one


class TransformerEncoder(nn.Module):
    """Embedding, learned positions, and Pre-LN blocks in which no word sees a later one.

    It carries no state: the windows of a text are independent, and a document has to fit into one (the `bptt` of
    `DocumentEncoder` must be at least the document's length). Padding stands on the right, where no word sees it.

    Args:
        vocab_size: V, words.
        embedding_dim: E, the width of the embedding and of every block.
        num_heads: attention heads; a divisor of E.
        hidden_dim: width inside the feed-forward sublayer.
        num_layers: blocks.
        dropout: one share for the embedded input, attention weights, and both sublayers.
        pad_id: the word that stands for no word: its embedding is 0 and stays so.
        max_length: positions there are.

    Shapes: tokens (B, T) -> Encoded; `raw` and `output` are the same (B, T, E), the state is ().

    Raises:
        ValueError: a size below 1, heads that do not divide E, a dropout outside [0, 1), a pad that is no word, or,
            when called, more than `max_length` words.
    """

    mask: Tensor  # (max_length, max_length), what no word may see is minus infinity

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int = 64,
        num_heads: int = 4,
        hidden_dim: int = 256,
        num_layers: int = 2,
        dropout: float = 0.1,
        pad_id: int = 1,
        max_length: int = 80,
    ) -> None:
        super().__init__()
        at_least_one(vocab_size=vocab_size, embedding_dim=embedding_dim, num_heads=num_heads)
        at_least_one(hidden_dim=hidden_dim, num_layers=num_layers, max_length=max_length)
        share_below_one("dropout", dropout)
        if embedding_dim % num_heads:
            raise ValueError(
                f"num_heads: got {num_heads}; allowed are divisors of the width, {embedding_dim}"
            )
        if not 0 <= pad_id < vocab_size:
            raise ValueError(f"pad_id: got {pad_id}; allowed are the words 0 to {vocab_size - 1}")
        self.vocab_size, self.embedding_dim, self.pad_id = vocab_size, embedding_dim, pad_id
        self.max_length = max_length
        # rows of length about 1: the softmax's, for which N(0, 1) entries would be far too sharp
        self.weight = nn.Parameter(torch.randn(vocab_size, embedding_dim) / embedding_dim**0.5)
        self.positions = nn.Parameter(0.1 * torch.randn(max_length, embedding_dim))
        with torch.no_grad():
            self.weight[pad_id] = 0
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                embedding_dim, num_heads, hidden_dim, dropout, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(embedding_dim)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(max_length), False)

    def forward(self, tokens: Tensor, state: State | None = None) -> Encoded:
        steps = tokens.shape[1]
        if steps > self.max_length:
            raise ValueError(f"tokens: got {steps} in a row; allowed are up to max_length, {self.max_length}")
        # times sqrt(E), so that the input has entries of about N(0, 1) (Vaswani et al. 2017, section 3.4)
        x = nn.functional.embedding(tokens, self.weight) * self.embedding_dim**0.5 + self.positions[:steps]
        x = self.dropout(x)  # (B, T, E)
        for block in self.blocks:
            x = block(x, self.mask[:steps, :steps], is_causal=True)
        x = self.norm(x)
        return Encoded(x, x, ())

    def detach(self, state: State) -> State:
        """The same empty state: nothing is carried on."""
        return state

    def groups(self) -> list[list[nn.Parameter]]:
        """The parameters by layer: embedding and positions, then each block, the last with the final norm."""
        *lower, last = [list(block.parameters()) for block in self.blocks]
        return [[self.weight, self.positions], *lower, [*last, *self.norm.parameters()]]
