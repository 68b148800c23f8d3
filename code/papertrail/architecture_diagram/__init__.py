"""Chapter 1: Figure 1 of the Transformer paper, and the code that does or does not agree with it."""
