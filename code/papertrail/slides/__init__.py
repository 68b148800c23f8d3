"""Slides for each chapter, made from its notebook by rule: see `deck` for the rule, `text` for how text is shortened."""
